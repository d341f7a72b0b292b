// Package web is the port that browsers and scripts come to: TLS, the names it may be called by, who signs in and how, limits, and
// what is served behind that: the API (console), the pages (pages), metrics and health.
package web
