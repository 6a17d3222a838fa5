package probe

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/windows/registry"

	"catenary/internal/fault"
)

// registryMax bounds the keys below one that are looked at.
const registryMax = 10_000

// control is where the running system's settings are.
const control = `SYSTEM\CurrentControlSet\Control`

// services are described below this key.
const servicesKey = `SYSTEM\CurrentControlSet\Services`

// regText reads a text of the machine's registry; empty if it is not there.
func regText(path, name string) string {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, path, registry.QUERY_VALUE|registry.WOW64_64KEY)
	if err != nil {
		return ""
	}
	defer key.Close()
	s, _, err := key.GetStringValue(name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(s)
}

// regNumber reads a number of the machine's registry.
func regNumber(path, name string) (uint64, bool) {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, path, registry.QUERY_VALUE|registry.WOW64_64KEY)
	if err != nil {
		return 0, false
	}
	defer key.Close()
	n, _, err := key.GetIntegerValue(name)
	return n, err == nil
}

// regHas reports whether the machine's registry has a key.
func regHas(path string) bool {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, path, registry.QUERY_VALUE|registry.WOW64_64KEY)
	if err != nil {
		return false
	}
	key.Close()
	return true
}

// regKeys returns the names of the keys below one; none if it is not there.
func regKeys(root registry.Key, path string) ([]string, error) {
	key, err := registry.OpenKey(root, path, registry.ENUMERATE_SUB_KEYS|registry.WOW64_64KEY)
	if errors.Is(err, registry.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the registry's %s: %w", path, err)
	}
	defer key.Close()
	names, err := key.ReadSubKeyNames(-1)
	return names[:min(len(names), registryMax)], err
}

// regValues calls visit for the values of a key, with their texts.
func regValues(root registry.Key, path string, view uint32, visit func(name, text string)) error {
	key, err := registry.OpenKey(root, path, registry.QUERY_VALUE|view)
	if errors.Is(err, registry.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the registry's %s: %w", path, err)
	}
	defer key.Close()
	names, err := key.ReadValueNames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if text, _, err := regValue(key, name); err == nil { // else it was removed meanwhile
			visit(name, text)
		}
	}
	return nil
}

// regKinds are the names of the types that values have.
var regKinds = map[uint32]string{
	registry.NONE: "REG_NONE", registry.SZ: "REG_SZ", registry.EXPAND_SZ: "REG_EXPAND_SZ", registry.BINARY: "REG_BINARY",
	registry.DWORD: "REG_DWORD", registry.DWORD_BIG_ENDIAN: "REG_DWORD_BIG_ENDIAN", registry.LINK: "REG_LINK",
	registry.MULTI_SZ: "REG_MULTI_SZ", registry.QWORD: "REG_QWORD",
}

// regValue reads a value of any type as a text, and names the type.
func regValue(key registry.Key, name string) (text, kind string, err error) {
	size, number, err := key.GetValue(name, nil)
	if err != nil {
		return "", "", err
	}
	kind = regKinds[number]
	switch number {
	case registry.SZ, registry.EXPAND_SZ:
		text, _, err = key.GetStringValue(name)
	case registry.MULTI_SZ:
		var lines []string
		lines, _, err = key.GetStringsValue(name)
		text = strings.Join(lines, "\n")
	case registry.DWORD, registry.QWORD:
		var n uint64
		n, _, err = key.GetIntegerValue(name)
		text = strconv.FormatUint(n, 10)
	default:
		b := make([]byte, min(size, valueMax))
		var n int
		n, _, err = key.GetValue(name, b)
		text = hex.EncodeToString(b[:min(n, len(b))])
	}
	return text, kind, err
}

// hives are the roots of the registry by their names.
var hives = map[string]registry.Key{
	"HKEY_LOCAL_MACHINE": registry.LOCAL_MACHINE, "HKLM": registry.LOCAL_MACHINE, "HKEY_USERS": registry.USERS, "HKU": registry.USERS,
	"HKEY_CLASSES_ROOT": registry.CLASSES_ROOT, "HKCR": registry.CLASSES_ROOT, "HKEY_CURRENT_CONFIG": registry.CURRENT_CONFIG, "HKCC": registry.CURRENT_CONFIG,
}

func registryValue(_ context.Context, params []string) ([][]string, error) {
	hive, path, _ := strings.Cut(strings.Trim(strings.TrimSpace(params[0]), `\`), `\`)
	root, ok := hives[strings.ToUpper(hive)]
	if !ok {
		return nil, fault.New(fault.Invalid, "%q is no root of the registry", hive)
	}
	key, err := registry.OpenKey(root, path, registry.QUERY_VALUE|registry.WOW64_64KEY)
	if err == nil {
		defer key.Close()
		var text, kind string
		if text, kind, err = regValue(key, strings.TrimSpace(params[1])); err == nil {
			return [][]string{{text, kind}}, nil
		}
	}
	if errors.Is(err, registry.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "the registry has no such value: %w", err)
	}
	return nil, err
}

// people calls visit for the accounts whose part of the registry is loaded.
func people(visit func(sid string)) error {
	names, err := regKeys(registry.USERS, "")
	for _, name := range names {
		if strings.HasPrefix(name, "S-1-5-21-") && !strings.HasSuffix(name, "_Classes") {
			visit(name)
		}
	}
	return err
}
