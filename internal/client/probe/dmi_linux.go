package probe

import (
	"fmt"
	"strconv"

	"catenary/internal/fault"
)

// dmi is where the kernel shows what the firmware says about the machine.
// Virtual machines without firmware and many boards do not have it.
const dmi = "/sys/class/dmi/id/"

func chassisType() (string, error) {
	s, err := firmware("chassis type", dmi+"chassis_type")
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return "", fmt.Errorf("the chassis type: %w", err)
	}
	return chassisName(n)
}

func manufacturer() (string, error) { return firmware("manufacturer", dmi+"sys_vendor") }

func model() (string, error) {
	return firmware("model", dmi+"product_name", "/proc/device-tree/model")
}

// firmware returns the first of the files that is there and has a content.
func firmware(what string, files ...string) (string, error) {
	for _, file := range files {
		s, err := readLine(file)
		switch {
		case absent(err):
		case err != nil:
			return "", fault.New(fault.KindOf(err), "the %s: %w", what, err)
		case s != "":
			return s, nil
		}
	}
	return "", unknown(what, "the firmware does not tell it")
}
