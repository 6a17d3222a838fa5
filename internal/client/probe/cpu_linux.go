package probe

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
)

func cpuModels(_ context.Context, at tree) ([]string, error) {
	b, err := at.read("proc/cpuinfo")
	if err != nil {
		return nil, err
	}
	models, _ := cpuinfo(string(b))
	if len(models) == 0 {
		return nil, unknown("CPU model", "/proc/cpuinfo does not tell it")
	}
	return models, nil
}

func cpuCount(at tree) (string, error) {
	b, err := at.read("proc/cpuinfo")
	if err != nil {
		return "", err
	}
	_, count := cpuinfo(string(b))
	if count == 0 {
		return "", unknown("number of CPUs", "/proc/cpuinfo does not tell it")
	}
	return strconv.Itoa(count), nil
}

// cpuinfo returns the distinct models and the number of the processors that
// /proc/cpuinfo describes. Its fields differ between architectures: x86 and
// others name the model, arm64 gives numbers of its maker and design.
func cpuinfo(text string) (models []string, count int) {
	distinct := map[string]bool{}
	var maker string
	for line := range strings.Lines(text) {
		key, v, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		v = strings.Join(strings.Fields(v), " ")
		switch key = strings.TrimSpace(key); {
		case key == "processor" || strings.HasPrefix(key, "processor "):
			count++
		case v == "":
		case key == "model name" || key == "cpu model":
			distinct[v] = true
		case key == "CPU implementer":
			maker = v
		case key == "CPU part":
			distinct[armModel(maker, v)] = true
		}
	}
	return slices.Sorted(maps.Keys(distinct)), count
}

// armParts names designs of Arm Ltd (implementer 0x41) by their part numbers
// in the main ID register.
var armParts = map[string]string{
	"0xd03": "Cortex-A53", "0xd05": "Cortex-A55", "0xd07": "Cortex-A57", "0xd08": "Cortex-A72",
	"0xd0b": "Cortex-A76", "0xd0c": "Neoverse-N1", "0xd40": "Neoverse-V1", "0xd49": "Neoverse-N2",
	"0xd4f": "Neoverse-V2", "0xd84": "Neoverse-V3", "0xd8e": "Neoverse-N3",
}

// armModel names a processor that has only numbers; one that nobody here
// knows keeps them.
func armModel(maker, part string) string {
	if name := armParts[part]; maker == "0x41" && name != "" {
		return name
	}
	return "ARM implementer " + maker + " part " + part
}

// cpuFlag reports whether the first processor has a feature.
func cpuFlag(text, flag string) bool {
	for line := range strings.Lines(text) {
		if key, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "flags" {
			return slices.Contains(strings.Fields(v), flag)
		}
	}
	return false
}
