package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catenary/internal/fault"
)

func runSim(t *testing.T, args ...string) (out, errs string, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := simCommand()
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.SetArgs(args)
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	err = cmd.ExecuteContext(t.Context())
	return stdout.String(), stderr.String(), err
}

// TestSimFlags: flags that contradict each other are refused, and the refusal
// says what they go with.
func TestSimFlags(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"--seed 1 --runs 2", "--runs and --seed are two stories"},
		{"--seed 1 --trial 2", "--seed and --trial are two stories"},
		{"--trials 5 --endpoints 10", "--trials and --endpoints are two stories"},
		{"--svg x.svg", "--svg goes with --seed or --trial or --herd, not with --runs"},
		{"--trials 5 --svg x.svg", "not with --trials"},
		{"--control no-set-rule", "--control goes with --trials or --trial"},
		{"--trials 5 --control nothing", `there is no control "nothing", but no-set-rule`},
		{"--trial 5 --byzantine", "--byzantine goes with --runs or --seed"},
		{"--seed 1 --first 2", "--first goes with --runs or --trials or --herds"},
		{"--seed 1 --workers 2", "--workers goes with"},
		{"--chain 5", "--chain goes with --endpoints"},
		{"--trials 0", "--trials must be positive"},
		{"--herds 0", "--herds must be positive"},
		{"--herds 2 --trial 3", "--herds and --trial are two stories"},
		{"--runs 3 --workers 0", "--workers must be positive"},
		{"--seed 1 --from 5s --until 4s", "--until must be after --from"},
		{"--endpoints 0", "must be positive"},
		{"--until 4s", "--until goes with --seed or --trial or --herd"},
	} {
		_, _, err := runSim(t, strings.Fields(tt.args)...)
		if err == nil || !strings.Contains(err.Error(), tt.want) || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v, want %q", tt.args, err, tt.want)
		}
	}
}

// TestSimStories: stories are played, traced and drawn.
func TestSimStories(t *testing.T) {
	svg := filepath.Join(t.TempDir(), "story.svg")
	for _, tt := range []struct{ args, want string }{
		{"--trials 5 --first 3 --workers 2", "double counts        0"},
		{"--trials 5 --control no-set-rule", "control: no-set-rule"},
		{"--runs 2", "2 seeds with"},
		{"--herds 2 --workers 2", "in order again       2"},
		{"--herd 1 --control no-reached --from 200s --until 201s", "Stands:false"},
		{"--byzantine --runs 2", "liars"},
		{"--trial 3 --from 2s --until 3s", "    2."},
		{"--trial 3 --svg " + svg, "drawn into " + svg},
	} {
		out, _, err := runSim(t, strings.Fields(tt.args)...)
		if err != nil || !strings.Contains(out, tt.want) {
			t.Errorf("%s: %v, %.300s", tt.args, err, out)
		}
	}
	if data, err := os.ReadFile(svg); err != nil || !bytes.HasPrefix(data, []byte("<svg ")) {
		t.Errorf("%v, %.50s", err, data)
	}
	if out, _, _ := runSim(t, strings.Fields("--trial 3 --from 2s --until 3s")...); strings.Contains(out, "\n    1.") || strings.Contains(out, "\n    4.") {
		t.Error("the trace goes beyond its bounds")
	}
}
