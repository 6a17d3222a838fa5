package probe

import "os"

// machineTree is the tree of the machine on which we run: its system's drive.
var machineTree = tree(os.Getenv("SystemDrive") + `\`)

const hostsPath = "Windows/System32/drivers/etc/hosts"

// families are the sensors of this platform.
func (p *Probe) families() []map[string]fact {
	return append(p.everywhere(), p.memoryFacts(), p.gopsutilFacts(), p.windowsSystemFacts(), p.windowsFirmwareFacts(), p.windowsFacts(), p.windowsSecurityFacts())
}

func (p *Probe) windowsSystemFacts() map[string]fact {
	return map[string]fact{
		"Operating System": text(operatingSystem),
		"OS Version":       text(kernelVersion),
		"OS Install Date":  text(installDate),
		"Domain Name":      text(domainName),
		"Machine ID": text(func() (string, error) {
			return told("machine ID", regText(`SOFTWARE\Microsoft\Cryptography`, "MachineGuid"))
		}),
		"System Locale":         text(systemLocale),
		"Boot Mode":             text(bootMode),
		"Time Servers":          list(timeServers),
		"Reboot Required":       text(rebootRequired),
		"Crash Dumps":           p.tableIn(crashDumps),
		"Environment Variables": table(environmentVariables),
		"Logged In Users":       list(loggedInUsers),
		"Last Logged In User":   text(lastUser),
		"Local Users":           table(localUsers),
		"User Exists":           with(1, userExists),
		"Directory Membership":  table(directories),
	}
}

func (p *Probe) windowsFirmwareFacts() map[string]fact {
	return map[string]fact{
		"Chassis Type":   text(chassisType),
		"Manufacturer":   firmwareText("manufacturer", func(m machine) string { return m.manufacturer }),
		"Model":          firmwareText("model", func(m machine) string { return m.product }),
		"Serial Number":  firmwareText("serial number", func(m machine) string { return m.serial }),
		"System UUID":    firmwareText("system's UUID", func(m machine) string { return m.uuid }),
		"Asset Tag":      firmwareText("asset tag", func(m machine) string { return m.asset }),
		"BIOS Vendor":    firmwareText("vendor of the firmware", func(m machine) string { return m.biosVendor }),
		"BIOS Version":   firmwareText("version of the firmware", func(m machine) string { return m.biosVersion }),
		"BIOS Date":      firmwareText("date of the firmware", func(m machine) string { return m.biosDate }),
		"Baseboard":      firmwareRows(func(m machine) [][]string { return [][]string{m.board[:]} }),
		"Memory Modules": firmwareRows(moduleRows),
		"Processors":     firmwareRows(processorRows),
		"Is Virtual":     text(isVirtual),
		"Hypervisor":     text(hypervisor),
		"Monitors":       table(monitors),
		"Printers":       table(printers),
	}
}

func (p *Probe) windowsFacts() map[string]fact {
	return map[string]fact{
		"DHCP Leases":            table(dhcpLeases),
		"Proxy Settings":         table(proxySettings),
		"IP Forwarding":          table(ipForwarding),
		"Firewall State":         table(firewallState),
		"Shared Folders":         table(sharedFolders),
		"Installed Applications": p.tableIn(applications),
		"Automatic Updates":      table(automaticUpdates),
		"Running Services":       table(services),
		"Services":               table(allServices),
		"Service State":          with(1, serviceState),
		"Service Programs":       table(servicePrograms),
		"Scheduled Tasks":        p.tableIn(scheduledTasks),
		"Startup Programs":       p.tableIn(startupPrograms),
		"File Version":           ofPath(fileVersion),
	}
}

func (p *Probe) windowsSecurityFacts() map[string]fact {
	return map[string]fact{
		"Secure Boot":          text(secureBoot),
		"Login Banner":         table(loginBanner),
		"FIPS Mode":            text(fipsMode),
		"User Account Control": text(accountControl),
		"Remote Desktop":       text(remoteDesktop),
		"Registry Value":       with(2, registryValue),
	}
}

// told makes an error of a text that is empty.
func told(what, text string) (string, error) {
	if text == "" {
		return "", unknown(what, "the registry does not tell it")
	}
	return text, nil
}

// firmwareText is a fact that the firmware tells.
func firmwareText(what string, f func(machine) string) fact {
	return text(func() (string, error) {
		m, err := firmware()
		if err == nil && f(m) == "" {
			err = unknown(what, "the firmware does not tell it")
		}
		return f(m), err
	})
}
