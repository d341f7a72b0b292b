// Package pages is the console as people see it: pages rendered here, from what a console.Desk says to who asks, in their language.
// Nothing on them comes from another place, and nothing is built before: templates, styles and scripts lie in this folder.
package pages
