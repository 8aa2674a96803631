//go:build race

package ipc

// underRace: this is a build with the race detector.
const underRace = true
