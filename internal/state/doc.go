// Package state is what lives from batch to batch: tables of keys, and the panes
// of windows. It knows elements and keys, and of time only what a window covers.
package state
