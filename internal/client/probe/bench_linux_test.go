package probe

import "testing"

// The budgets of the first of these on a machine of two cores, said by the
// architecture: processes and ports 30 ms, applications 50 ms.
func BenchmarkSensor(b *testing.B) {
	p := newProbe()
	for _, name := range []string{
		"Running Processes", "Running Processes with Hash", "Listening Ports", "Established Connections",
		"Installed Applications", "Disk Free Space", "Running Services", "Network Adapters", "CPU Model",
		"Process Details", "Listening Port Details", "Service Units", "Service Programs", "Scheduled Tasks", "Unpackaged Processes", "Available Updates",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Run(b.Context(), name, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
