//go:build race

package sim

// slowdown is how much longer everything takes under the race detector.
const slowdown = 10
