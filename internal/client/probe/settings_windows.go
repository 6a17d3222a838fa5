package probe

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/windows/registry"
)

const policies = `SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System`

// firmwareRows is a fact of several columns that the firmware tells.
func firmwareRows(f func(machine) [][]string) fact {
	return table(func(context.Context) ([][]string, error) {
		m, err := firmware()
		return f(m), err
	})
}

func processorRows(m machine) [][]string {
	var rows [][]string
	for _, p := range m.processors {
		rows = append(rows, []string{p.socket, p.model, strconv.Itoa(p.cores), strconv.Itoa(p.logical)})
	}
	return rows
}

func hypervisor() (string, error) {
	m, err := firmware()
	if err != nil {
		return "", err
	}
	if !virtualHardware(m.manufacturer, m.product) {
		return "None", nil
	}
	if name := hypervisorBy(strings.ToLower(m.manufacturer + " " + m.product + " " + m.biosVendor)); name != "" {
		return name, nil
	}
	return "Other", nil
}

// monitors are all that were ever connected: Windows remembers them.
func monitors(context.Context) ([][]string, error) {
	const display = `SYSTEM\CurrentControlSet\Enum\DISPLAY`
	models, err := regKeys(registry.LOCAL_MACHINE, display)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, model := range models {
		places, err := regKeys(registry.LOCAL_MACHINE, display+`\`+model)
		if err != nil {
			return nil, err
		}
		for _, place := range places {
			key, err := registry.OpenKey(registry.LOCAL_MACHINE, display+`\`+model+`\`+place+`\Device Parameters`, registry.QUERY_VALUE)
			if err != nil {
				continue // it has none
			}
			b, _, err := key.GetBinaryValue("EDID")
			key.Close()
			if m, ok := parseEDID(b); err == nil && ok {
				rows = append(rows, m.row())
			}
		}
	}
	return uniqueRows(rows), nil
}

func printers(context.Context) ([][]string, error) {
	const folder = control + `\Print\Printers`
	names, err := regKeys(registry.LOCAL_MACHINE, folder)
	var rows [][]string
	for _, name := range names {
		path := folder + `\` + name
		state := "Idle"
		if status, ok := regNumber(path, "Status"); ok && status != 0 {
			state = "Status " + strconv.FormatUint(status, 10)
		}
		rows = append(rows, []string{name, regText(path, "Port"), regText(path, "Printer Driver"), state})
	}
	return uniqueRows(rows), err
}

func dnsSearch(context.Context, tree) ([]string, error) {
	if domains := listOf(regText(tcpip, "SearchList")); domains != nil {
		return domains, nil
	}
	if domain, err := domainName(); err == nil {
		return []string{domain}, nil
	}
	return nil, nil
}

func dhcpLeases(context.Context) ([][]string, error) {
	const connections = control + `\Network\{4D36E972-E325-11CE-BFC1-08002BE10318}`
	names, err := regKeys(registry.LOCAL_MACHINE, tcpip+`\Interfaces`)
	var rows [][]string
	for _, name := range names {
		path := tcpip + `\Interfaces\` + name
		if on, _ := regNumber(path, "EnableDHCP"); on == 0 {
			continue
		}
		address, expires := regText(path, "DhcpIPAddress"), ""
		if until, ok := regNumber(path, "LeaseTerminatesTime"); ok && until > 0 {
			expires = date(time.Unix(int64(until), 0))
		}
		adapter := regText(connections+`\`+name+`\Connection`, "Name")
		if address != "" && address != "0.0.0.0" {
			rows = append(rows, []string{adapter, address, regText(path, "DhcpServer"), expires})
		}
	}
	return uniqueRows(rows), err
}

func proxySettings(context.Context) ([][]string, error) {
	const settings = `Software\Microsoft\Windows\CurrentVersion\Internet Settings`
	wanted := []string{"ProxyEnable", "ProxyServer", "ProxyOverride", "AutoConfigURL"}
	var rows [][]string
	note := func(source string) func(name, text string) {
		return func(name, text string) {
			if slices.Contains(wanted, name) && text != "" {
				rows = append(rows, []string{name, withoutUser(text), source})
			}
		}
	}
	err := regValues(registry.LOCAL_MACHINE, settings, 0, note("the machine"))
	if err != nil {
		return nil, err
	}
	var first error
	err = people(func(sid string) {
		if err := regValues(registry.USERS, sid+`\`+settings, 0, note(accountName(sid))); err != nil && first == nil {
			first = err
		}
	})
	if err == nil {
		err = first
	}
	return uniqueRows(rows), err
}

func ipForwarding(context.Context) ([][]string, error) {
	var rows [][]string
	for family, service := range map[string]string{"IPv4": "Tcpip", "IPv6": "Tcpip6"} {
		on, _ := regNumber(servicesKey+`\`+service+`\Parameters`, "IPEnableRouter") // without the value it is off
		rows = append(rows, []string{family, yesNo(on != 0)})
	}
	return uniqueRows(rows), nil
}

// firewallState reads the profiles; what a domain's policy says of one counts
// more than the machine's own setting.
func firewallState(context.Context) ([][]string, error) {
	const own, policy = servicesKey + `\SharedAccess\Parameters\FirewallPolicy\`, `SOFTWARE\Policies\Microsoft\WindowsFirewall\`
	var rows [][]string
	for name, key := range map[string]string{"Domain": "DomainProfile", "Private": "StandardProfile", "Public": "PublicProfile"} {
		on, ok := regNumber(policy+key, "EnableFirewall")
		if !ok {
			if on, ok = regNumber(own+key, "EnableFirewall"); !ok {
				return nil, unknown("state of the firewall", "the registry does not tell it")
			}
		}
		state := "Off"
		if on != 0 {
			state = "On"
		}
		rows = append(rows, []string{name, state})
	}
	return uniqueRows(rows), nil
}

// sharedFolders reads lists of lines such as Path=C:\Share.
func sharedFolders(context.Context) ([][]string, error) {
	var rows [][]string
	err := regValues(registry.LOCAL_MACHINE, servicesKey+`\LanmanServer\Shares`, 0, func(name, text string) {
		row := []string{name, "", "SMB", ""}
		for line := range strings.Lines(text) {
			key, v, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch key {
			case "Path":
				row[1] = v
			case "Remark":
				row[3] = v
			}
		}
		rows = append(rows, row)
	})
	return uniqueRows(rows), err
}

// serviceKinds of which the programs are services of Windows; others are
// drivers.
const serviceKinds = 0x10 | 0x20

// eachService calls visit for the services that are described in the registry.
func eachService(visit func(name, path string, start uint64)) error {
	names, err := regKeys(registry.LOCAL_MACHINE, servicesKey)
	for _, name := range names {
		path := servicesKey + `\` + name
		kind, _ := regNumber(path, "Type") // without one it is none
		if start, ok := regNumber(path, "Start"); ok && kind&serviceKinds != 0 {
			visit(name, path, start)
		}
	}
	return err
}

func allServices(ctx context.Context) ([][]string, error) {
	running, err := services(ctx)
	if err != nil {
		return nil, err
	}
	runs := map[string]bool{}
	for _, row := range running {
		runs[strings.ToLower(row[0])] = true
	}
	var rows [][]string
	err = eachService(func(name, _ string, start uint64) {
		mode := startAutomatic
		switch start {
		case 3:
			mode = startManual
		case 4:
			mode = startDisabled
		}
		state := "Stopped"
		if runs[strings.ToLower(name)] {
			state = "Running"
		}
		rows = append(rows, []string{name, state, mode, "Windows"})
	})
	return uniqueRows(rows), err
}

func serviceState(ctx context.Context, params []string) ([][]string, error) {
	wanted, err := newWildcard(params[0])
	if err != nil {
		return nil, err
	}
	all, err := allServices(ctx)
	var rows [][]string
	for _, row := range all {
		if wanted.matches(row[0]) {
			rows = append(rows, row[:3])
		}
	}
	return rows, err
}

func servicePrograms(context.Context) ([][]string, error) {
	var rows [][]string
	err := eachService(func(name, path string, _ uint64) {
		rows = append(rows, []string{name, regText(path, "ImagePath"), regText(path, "ObjectName")})
	})
	return uniqueRows(rows), err
}

func secureBoot() (string, error) {
	on, ok := regNumber(control+`\SecureBoot\State`, "UEFISecureBootEnabled")
	switch {
	case !ok:
		return "", unknown("state of Secure Boot", "the firmware does not tell it, or is no UEFI")
	case on != 0:
		return "Enabled", nil
	}
	return "Disabled", nil
}

func loginBanner(context.Context) ([][]string, error) {
	caption, text := regText(policies, "legalnoticecaption"), regText(policies, "legalnoticetext")
	if caption == "" && text == "" {
		return nil, nil
	}
	return [][]string{{"Login", strings.TrimSpace(caption + "\n" + text)}}, nil
}

func fipsMode() (string, error) {
	on, _ := regNumber(control+`\Lsa\FipsAlgorithmPolicy`, "Enabled") // without the value it is off
	return yesNo(on != 0), nil
}

// accountControl tells for what Windows asks an administrator.
func accountControl() (string, error) {
	if on, _ := regNumber(policies, "EnableLUA"); on == 0 { // without the value it is off
		return "Off", nil
	}
	how, ok := regNumber(policies, "ConsentPromptBehaviorAdmin")
	names := []string{
		"Never Asks", "Asks for Password on Secure Desktop", "Asks on Secure Desktop", "Asks for Password", "Asks", "Asks for Programs of Others",
	}
	if !ok || how >= uint64(len(names)) {
		return "", fmt.Errorf("the way in which Windows asks is not known: %d", how)
	}
	return names[how], nil
}

func remoteDesktop() (string, error) {
	denied, ok := regNumber(control+`\Terminal Server`, "fDenyTSConnections")
	if ok && denied == 0 {
		return "Enabled", nil
	}
	return "Disabled", nil
}
