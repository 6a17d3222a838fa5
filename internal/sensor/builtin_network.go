package sensor

import "catenary/internal/value"

const categoryNetwork = "Network"

func networkSensors() []Sensor {
	const category = categoryNetwork
	return []Sensor{
		single(category, "IP Address", value.IPAddress, ageNetwork,
			"Every address of the machine except loopback."),
		single(category, "IPv4 Address", value.IPAddress, ageNetwork,
			"Every IPv4 address of the machine except loopback."),
		single(category, "IPv6 Address", value.IPAddress, ageNetwork,
			"Every IPv6 address of the machine except loopback and those that are good for one link only."),
		several(category, "Network Addresses", ageNetwork,
			"The addresses of all network adapters, with how many bits of each name its network.",
			text("Adapter"), address("Address"), number("Prefix Length"), text("Scope")),
		single(category, "Subnets", value.IPAddress, ageNetwork,
			"The networks in which the machine has an address, except loopback and those of one link only."),
		single(category, "MAC Address", value.String, ageNetwork,
			"The hardware address of every network adapter that has one."),
		single(category, "Default Gateway", value.IPAddress, ageNetwork,
			"Next hops of the default routes."),
		scripted(on(several(category, "Routes", ageNetwork,
			"The main routing table. Gateway is empty for networks that are reached directly.",
			address("Destination"), address("Gateway"), text("Adapter"), number("Metric")), Linux), Windows),
		scripted(several(category, "ARP Cache", ageLive,
			"Neighbours on the same links, by IPv4 and IPv6, that the system knows or tries to reach.",
			address("Address"), text("MAC Address"), text("Adapter"), text("State")), Windows, Mac),
		single(category, "DNS Servers", value.IPAddress, ageNetwork,
			"Name servers that the machine asks; behind a local resolver of systemd, the servers that it asks in turn."),
		single(category, "DNS Search Domains", value.String, ageNetwork,
			"Domains that the machine tries for names without one."),
		several(category, "Hosts File", ageNetwork,
			"Names that the machine knows without asking a name server.",
			address("Address"), text("Name")),
		on(several(category, "DHCP Leases", ageNetwork,
			"Addresses that the machine was lent, by whom and until when. Columns that the DHCP client does not write down are empty.",
			text("Adapter"), address("Address"), address("Server"), date("Expires")), Linux, Windows),
		on(several(category, "Proxy Settings", ageRare,
			"Proxies that the system's settings name, without passwords.",
			text("Setting"), text("Value"), text("Source")), Linux, Windows),
		on(several(category, "IP Forwarding", ageNetwork,
			"Whether the machine passes on packets that are not for it.",
			text("Family"), text("Enabled")), Linux, Windows),
	}
}

func adapterSensors() []Sensor {
	const category = categoryNetwork
	return []Sensor{
		several(category, "Network Adapters", ageNetwork,
			"Network adapters except loopback. Status is Up when the adapter is switched on and has a carrier.",
			text("Name"), text("MAC Address"), text("Status"), number("MTU"), text("Addresses")),
		on(several(category, "Adapter Speed", ageNetwork,
			"The speed of the network adapters that tell it, in millions of bits per second.",
			text("Adapter"), number("Speed"), text("Duplex")), Linux),
		on(several(category, "Network Drivers", ageRare,
			"The drivers of the network adapters that are devices, and the devices' places.",
			text("Adapter"), text("Driver"), text("Place")), Linux),
		on(several(category, "Virtual Adapters", ageNetwork,
			"Network adapters that are no devices, with their kind as the kernel names it: bridge, vlan, veth, wireguard, tun.",
			text("Adapter"), text("Kind"), text("Member Of")), Linux),
		on(several(category, "Wireless Adapters", ageLive,
			"Wireless network adapters and, while they are connected, the strength of the signal in dBm.",
			text("Adapter"), text("Driver"), text("Link Quality"), text("Signal")), Linux),
		on(several(category, "Bonds", ageNetwork,
			"Bonded network adapters, their mode and the state of each member.",
			text("Bond"), text("Mode"), text("Member"), text("Status"), text("Active")), Linux),
		on(several(category, "VLANs", ageNetwork,
			"Virtual LANs and the adapters on which they are.",
			text("Adapter"), number("VLAN"), text("On")), Linux),
		on(single(category, "Promiscuous Adapters", value.String, ageLive,
			"Network adapters that take packets which are not for them, as those of sniffers and bridges do."), Linux),
		on(single(category, "Bluetooth Adapters", value.String, ageRare,
			"Bluetooth adapters that the kernel knows."), Linux),
		on(several(category, "Multicast Groups", ageNetwork,
			"Groups whose packets the network adapters take.",
			text("Adapter"), address("Group")), Linux),
	}
}

func trafficSensors() []Sensor {
	const category = categoryNetwork
	return []Sensor{
		several(category, "Network Traffic", ageLive,
			"What each network adapter has received and sent since the start, in units of 1,048,576 bytes, with packets that were faulty or dropped.",
			text("Adapter"), size("Received"), size("Sent"), number("Errors"), number("Dropped")),
		on(several(category, "Network Counters", ageLive,
			"The kernel's counters of IP, ICMP, TCP and UDP, as SNMP names them, except those that are zero.",
			text("Protocol"), text("Counter"), number("Value")), Linux),
		several(category, "Connection States", ageLive,
			"How many TCP sockets are in which state.",
			text("State"), number("Sockets")),
	}
}

func socketSensors() []Sensor {
	const category = categoryNetwork
	return []Sensor{
		several(category, "Listening Ports", ageLive,
			"Sockets that wait for connections (TCP) or datagrams (UDP), with the process that holds them. Process is empty where the client may not see it.",
			text("Process"), text("Protocol"), address("Local Address"), number("Port")),
		several(category, "Listening Port Details", ageLive,
			"The same sockets, with the number, account and program file of the process that holds them.",
			text("Process"), number("PID"), text("User"), text("Path"), text("Protocol"), address("Local Address"), number("Port")),
		several(category, "Established Connections", ageLive,
			"Connected TCP and UDP sockets, with the process that holds them. Process is empty where the client may not see it.",
			text("Process"), text("Protocol"), address("Local Address"), number("Local Port"), address("Remote Address"), number("Remote Port")),
		on(several(category, "Unix Sockets", ageLive,
			"Sockets for programs of the same machine that wait for connections or datagrams under a name. An @ begins names that are no files.",
			text("Process"), text("Kind"), text("Name")), Linux),
		on(several(category, "Packet Sockets", ageLive,
			"Sockets that see packets as they are on the wire, with the process that holds them: sniffers, DHCP clients. Protocol is in hexadecimal, 0003 stands for all.",
			text("Process"), text("Protocol"), text("Adapter")), Linux),
		on(single(category, "Network Namespaces", value.String, ageNetwork,
			"Named network namespaces: further networks within the machine."), Linux),
	}
}

func networkServiceSensors() []Sensor {
	const category = categoryNetwork
	return []Sensor{
		scripted(on(several(category, "Firewall State", ageNetwork,
			"Firewalls of the machine and whether they are on. On Linux the kernel's own rules count (nftables), and what is set up to make them.",
			text("Firewall"), text("State")), Linux, Windows), Mac),
		on(several(category, "Firewall Chains", ageNetwork,
			"Chains of the kernel's packet filter (nftables) with their rules counted. Hook and policy are empty for chains that others call.",
			text("Family"), text("Table"), text("Chain"), text("Hook"), text("Policy"), number("Rules")), Linux),
		on(several(category, "Shared Folders", ageRare,
			"Folders that the machine offers to others by NFS or SMB, as it is set up.",
			text("Name"), text("Folder"), text("Protocol"), text("Options")), Linux, Windows),
		on(several(category, "Network Mounts", ageNetwork,
			"File systems of other machines that are mounted here.",
			text("Mount"), text("Source"), text("File System")), Linux),
	}
}
