package probe

import (
	"context"
	"errors"
	"fmt"
	"unsafe"

	"github.com/shirou/gopsutil/v4/host"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"catenary/internal/fault"
	"catenary/internal/sensor"
)

const platform = sensor.Windows

func operatingSystem() (string, error) {
	name, _, version, err := host.PlatformInformation()
	if err != nil {
		return "", fmt.Errorf("the operating system: %w", err)
	}
	return name + " " + version, nil
}

func timeZone() (string, error) {
	const path = `SYSTEM\CurrentControlSet\Control\TimeZoneInformation`
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, path, registry.QUERY_VALUE)
	if err != nil {
		return "", fmt.Errorf("the time zone: %w", err)
	}
	defer key.Close()
	name, _, err := key.GetStringValue("TimeZoneKeyName")
	if err != nil {
		return "", fmt.Errorf("the time zone: %w", err)
	}
	return name, nil
}

// loggedInUsers asks for the accounts of the terminal sessions. Only the
// system's own account may, which is the client's.
func loggedInUsers(context.Context) ([]string, error) {
	var first *windows.WTS_SESSION_INFO
	var count uint32
	if err := windows.WTSEnumerateSessions(0, 0, 1, &first, &count); err != nil {
		return nil, fmt.Errorf("the logged in users: %w", err)
	}
	defer windows.WTSFreeMemory(uintptr(unsafe.Pointer(first)))
	var users []string
	for _, session := range unsafe.Slice(first, count) {
		if session.State != windows.WTSActive && session.State != windows.WTSDisconnected {
			continue
		}
		var token windows.Token
		err := windows.WTSQueryUserToken(session.SessionID, &token)
		if errors.Is(err, windows.ERROR_NO_TOKEN) { // a session in which nobody is logged in
			continue
		}
		if errors.Is(err, windows.ERROR_PRIVILEGE_NOT_HELD) {
			return nil, fault.New(fault.Denied, "the logged in users: %w", err)
		}
		if err != nil {
			return nil, fmt.Errorf("the logged in users: %w", err)
		}
		user, err := tokenUser(token)
		if err != nil {
			return nil, fmt.Errorf("the logged in users: %w", err)
		}
		users = append(users, user)
	}
	return users, nil
}

// tokenUser names the account of a token, which it closes.
func tokenUser(token windows.Token) (string, error) {
	defer token.Close()
	user, err := token.GetTokenUser()
	if err != nil {
		return "", err
	}
	account, domain, _, err := user.User.Sid.LookupAccount("")
	if err != nil {
		return "", err
	}
	return domain + `\` + account, nil
}

func chassisType() (string, error) {
	m, err := firmware()
	if err != nil {
		return "", err
	}
	return chassisName(int(m.chassis))
}

func isVirtual() (string, error) {
	m, err := firmware()
	return yesNo(virtualHardware(m.manufacturer, m.product)), err
}

// firmware reads the machine's SMBIOS tables.
func firmware() (machine, error) {
	const provider = 'R'<<24 | 'S'<<16 | 'M'<<8 | 'B'
	get := windows.NewLazySystemDLL("kernel32.dll").NewProc("GetSystemFirmwareTable")
	if err := get.Find(); err != nil {
		return machine{}, fmt.Errorf("the firmware: %w", err)
	}
	n, _, err := get.Call(provider, 0, 0, 0)
	if n == 0 {
		return machine{}, fmt.Errorf("the firmware: %w", err)
	}
	b := make([]byte, n)
	n, _, err = get.Call(provider, 0, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if n == 0 || n > uintptr(len(b)) {
		return machine{}, fmt.Errorf("the firmware: %w", err)
	}
	return parseSMBIOS(rawSMBIOS(b[:n])), nil
}
