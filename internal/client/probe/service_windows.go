package probe

import (
	"context"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// servicesTries is how often the services are asked for: between the answer to
// how much room they need and the question itself they can become more.
const servicesTries = 3

func services(context.Context) ([][]string, error) {
	manager, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_CONNECT|windows.SC_MANAGER_ENUMERATE_SERVICE)
	if err != nil {
		return nil, fmt.Errorf("the running services: %w", err)
	}
	defer windows.CloseServiceHandle(manager) // opened for reading: nothing can be lost
	size := uint32(64 << 10)                  // bytes; enough for most machines at the first try
	for range servicesTries {
		b := make([]byte, size)
		var needed, count uint32
		err := windows.EnumServicesStatusEx(manager, windows.SC_ENUM_PROCESS_INFO, windows.SERVICE_WIN32,
			windows.SERVICE_ACTIVE, &b[0], size, &needed, &count, nil, nil)
		if errors.Is(err, windows.ERROR_MORE_DATA) {
			size += needed
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("the running services: %w", err)
		}
		var rows [][]string
		for _, s := range unsafe.Slice((*windows.ENUM_SERVICE_STATUS_PROCESS)(unsafe.Pointer(&b[0])), count) {
			if s.ServiceStatusProcess.CurrentState == windows.SERVICE_RUNNING {
				rows = append(rows, []string{windows.UTF16PtrToString(s.ServiceName), "Windows"})
			}
		}
		return rows, nil
	}
	return nil, fmt.Errorf("the running services: they changed %d times while they were read", servicesTries)
}
