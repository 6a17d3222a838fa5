package probe

import (
	"encoding/json"
	"encoding/xml"
	"slices"
	"strconv"
	"strings"
)

// A dockerContainer is what Docker writes down of one, in config.v2.json and in
// hostconfig.json beside it.
type dockerContainer struct {
	ID, Name, Created string
	Config            struct{ Image string }
	State             struct{ Running, Paused, Restarting, Dead bool }
	MountPoints       map[string]struct {
		Name, Source, Destination string
		RW                        bool
	}
	host dockerHost
}

type dockerHost struct {
	Privileged                             bool
	NetworkMode, PidMode, IpcMode, UTSMode string
	UsernsMode                             string
	CapAdd, SecurityOpt                    []string
	Devices                                []struct{ PathOnHost string }
	PortBindings                           map[string][]struct{ HostIP, HostPort string }
}

func parseDocker(config, host []byte) (dockerContainer, bool) {
	var c dockerContainer
	if err := json.Unmarshal(config, &c); err != nil || c.ID == "" {
		return c, false
	}
	if err := json.Unmarshal(host, &c.host); err != nil {
		c.host = dockerHost{} // not written yet
	}
	return c, true
}

// name is without the slash that Docker puts before it.
func (c dockerContainer) name() string { return strings.TrimPrefix(c.Name, "/") }

func (c dockerContainer) state() string {
	switch s := c.State; {
	case s.Dead:
		return "Dead"
	case s.Restarting:
		return "Restarting"
	case s.Paused:
		return "Paused"
	case s.Running:
		return "Running"
	}
	return "Stopped"
}

// privileges are what lets a container do more than others.
func (c dockerContainer) privileges() []string {
	var all []string
	note := func(yes bool, what string) {
		if yes {
			all = append(all, what)
		}
	}
	h := c.host
	note(h.Privileged, "privileged")
	note(h.NetworkMode == "host", "the machine's network")
	note(h.PidMode == "host", "the machine's processes")
	note(h.IpcMode == "host", "the machine's shared memory")
	note(h.UTSMode == "host", "the machine's name")
	note(h.UsernsMode == "host", "the machine's accounts")
	for _, capability := range h.CapAdd {
		all = append(all, "capability "+capability)
	}
	for _, option := range h.SecurityOpt {
		note(strings.Contains(option, "unconfined") || strings.Contains(option, "disable"), option)
	}
	for _, d := range h.Devices {
		all = append(all, "device "+d.PathOnHost)
	}
	for _, m := range c.MountPoints {
		note(m.RW && (m.Source == "/" || strings.HasSuffix(m.Source, "docker.sock")), "mount of "+m.Source)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// dockerImages reads the names of images and what they stand for.
func dockerImages(b []byte) [][]string {
	var list struct {
		Repositories map[string]map[string]string
	}
	if err := json.Unmarshal(b, &list); err != nil {
		return nil // half written
	}
	var rows [][]string
	for _, names := range list.Repositories {
		for name, id := range names {
			if !strings.Contains(name, "@") { // the same by its own hash
				rows = append(rows, []string{"Docker", name, shortID(strings.TrimPrefix(id, "sha256:"))})
			}
		}
	}
	return rows
}

const shortIDLength = 12 // characters by which people know a container or image

func shortID(id string) string { return id[:min(len(id), shortIDLength)] }

// A stored is a container or an image in the store that Podman and CRI-O share.
type stored struct {
	ID, Image, Created string
	Names              []string
}

func parseStored(b []byte) []stored {
	var all []stored
	if err := json.Unmarshal(b, &all); err != nil {
		return nil // half written
	}
	return all
}

// containerOf reads /proc/PID/cgroup: in which container a process is, by the
// names that runtimes give their groups.
func containerOf(cgroup string) string {
	for line := range strings.Lines(cgroup) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		parts := strings.Split(f[2], "/")
		for i, part := range slices.Backward(parts) {
			if name, ok := strings.CutPrefix(part, "lxc.payload."); ok {
				return name
			}
			if i > 0 && parts[i-1] == "lxc" && part != "" {
				return part
			}
			id := strings.TrimSuffix(part, ".scope")
			id = id[strings.LastIndexByte(id, '-')+1:]
			if len(id) == 64 && strings.Trim(id, "0123456789abcdef") == "" {
				return shortID(id)
			}
		}
	}
	return ""
}

// A domain is a virtual machine as libvirt describes it.
type domain struct {
	Type   string `xml:"type,attr"`
	Name   string `xml:"name"`
	UUID   string `xml:"uuid"`
	Memory struct {
		Unit  string `xml:"unit,attr"`
		Value string `xml:",chardata"`
	} `xml:"memory"`
	VCPU string `xml:"vcpu"`
}

func parseDomain(b []byte) ([]string, bool) {
	var d domain
	if err := xml.Unmarshal(b, &d); err != nil || d.Name == "" {
		return nil, false
	}
	memory, err := strconv.ParseUint(strings.TrimSpace(d.Memory.Value), 10, 40)
	if err != nil {
		return nil, false
	}
	shift := map[string]int{"b": 0, "bytes": 0, "": 10, "k": 10, "KiB": 10, "M": 20, "MiB": 20, "G": 30, "GiB": 30}[d.Memory.Unit]
	kinds := map[string]string{"kvm": "KVM", "qemu": "QEMU", "xen": "Xen", "lxc": "LXC", "hvf": "Apple", "bhyve": "bhyve"}
	kind := kinds[d.Type]
	if kind == "" {
		kind = d.Type
	}
	return []string{d.Name, kind, strings.ToLower(strings.TrimSpace(d.UUID)), size(memory << shift), strings.TrimSpace(d.VCPU)}, true
}
