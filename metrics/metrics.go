// Package metrics is what a Prometheus reads of a daemon. Label values come from configuration alone, never from a caller.
package metrics
