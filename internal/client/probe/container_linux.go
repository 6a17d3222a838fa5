package probe

import (
	"context"
	"encoding/json"
	"os"
	"path"
	"strconv"
	"strings"
)

const recordMax = 16 << 20 // bytes of what a runtime writes down of its containers or images

func (p *Probe) containerFacts() map[string]fact {
	return map[string]fact{
		"Is Container":            p.textIn(isContainer),
		"Container Type":          p.textIn(containerType),
		"Container Runtimes":      p.tableIn(containerRuntimes),
		"Containers":              p.tableIn(containers),
		"Container Images":        p.tableIn(containerImages),
		"Container Mounts":        p.tableIn(containerMounts),
		"Container Ports":         p.tableIn(containerPorts),
		"Privileged Containers":   p.tableIn(privilegedContainers),
		"Container Volumes":       p.tableIn(containerVolumes),
		"Container Networks":      p.tableIn(containerNetworks),
		"Container Settings":      p.tableIn(containerSettings),
		"Kubernetes Pods":         p.tableIn(pods),
		"Hosted Virtual Machines": p.tableIn(virtualMachines),
	}
}

// containerType goes by the marks that runtimes leave in their containers.
func containerType(at tree) (string, error) {
	kind := at.attribute("run/systemd/container")
	if b, err := readHead(at.at("proc/1/environ"), environMax); kind == "" && err == nil { // root alone may read it
		for variable := range strings.SplitSeq(string(b), "\x00") {
			if v, ok := strings.CutPrefix(variable, "container="); ok {
				kind = v
			}
		}
	}
	switch {
	case isFolder(at.at("run/secrets/kubernetes.io")), isFolder(at.at("var/run/secrets/kubernetes.io")):
		return "Kubernetes", nil
	case at.has("run/.containerenv"), kind == "podman":
		return "Podman", nil
	case at.has(".dockerenv"), kind == "docker":
		return "Docker", nil
	case kind == "lxc", kind == "lxc-libvirt":
		return "LXC", nil
	case kind == "systemd-nspawn":
		return "systemd-nspawn", nil
	case kind != "":
		return kind, nil
	}
	return "None", nil
}

func isContainer(at tree) (string, error) {
	kind, err := containerType(at)
	return yesNo(kind != "None"), err
}

var runtimes = []struct{ name, socket, folder string }{
	{"Docker", "/run/docker.sock", "/var/lib/docker"}, {"containerd", "/run/containerd/containerd.sock", "/var/lib/containerd"},
	{"Podman", "/run/podman/podman.sock", "/var/lib/containers/storage"}, {"CRI-O", "/run/crio/crio.sock", "/var/lib/crio"},
	{"LXC", "", "/var/lib/lxc"}, {"LXD", "/var/snap/lxd/common/lxd/unix.socket", "/var/snap/lxd/common/lxd"}, {"Incus", "/var/lib/incus/unix.socket", "/var/lib/incus"},
	{"systemd-nspawn", "", "/var/lib/machines"}, {"Kubernetes", "", "/var/lib/kubelet"}, {"libvirt", "/run/libvirt/libvirt-sock", "/var/lib/libvirt"},
}

func containerRuntimes(_ context.Context, at tree) ([][]string, error) {
	var rows [][]string
	for _, r := range runtimes {
		socket, folder := r.socket, r.folder
		if socket != "" && !at.has(socket) {
			socket = ""
		}
		if !isFolder(at.at(folder)) {
			folder = ""
		}
		if socket != "" || folder != "" {
			rows = append(rows, []string{r.name, socket, folder})
		}
	}
	return rows, nil
}

// dockerFolder is where Docker keeps its state.
func dockerFolder(at tree) string {
	var settings struct {
		Root  string `json:"data-root"`
		Graph string
	}
	if b, err := at.read("etc/docker/daemon.json"); err == nil && json.Unmarshal(b, &settings) == nil {
		switch {
		case strings.HasPrefix(settings.Root, "/"):
			return settings.Root
		case strings.HasPrefix(settings.Graph, "/"):
			return settings.Graph
		}
	}
	return "/var/lib/docker"
}

func dockerContainers(at tree) ([]dockerContainer, error) {
	files, err := at.glob(dockerFolder(at) + "/containers/*/config.v2.json")
	if err != nil {
		return nil, err
	}
	var all []dockerContainer
	for _, file := range files {
		config, err := smallFile(at.at(file), recordMax)
		if err != nil {
			if passedOver(err) { // removed meanwhile
				continue
			}
			return nil, err
		}
		host, err := smallFile(at.at(path.Dir(file)+"/hostconfig.json"), recordMax)
		if err != nil && !passedOver(err) {
			return nil, err
		}
		if c, ok := parseDocker(config, host); ok {
			all = append(all, c)
		}
	}
	return all, nil
}

// stores are where Podman and CRI-O keep what is everybody's and what is a
// person's own.
func stores(at tree) ([]string, error) {
	folders := []string{"/var/lib/containers/storage"}
	people, err := homes(at)
	for _, h := range people {
		folders = append(folders, path.Join(h.folder, ".local/share/containers/storage"))
	}
	return folders, err
}

// storeRuntime tells whose the system's store is.
func storeRuntime(at tree) string {
	if isFolder(at.at("var/lib/crio")) {
		return "CRI-O"
	}
	return "Podman"
}

// eachStored calls visit for what a list of the stores has.
func eachStored(at tree, list string, visit func(store string, s stored)) error {
	folders, err := stores(at)
	if err != nil {
		return err
	}
	for _, folder := range folders {
		files, err := at.glob(folder + list)
		if err != nil {
			return err
		}
		for _, file := range files {
			b, err := smallFile(at.at(file), recordMax)
			if err != nil {
				if passedOver(err) {
					continue
				}
				return err
			}
			for _, s := range parseStored(b) {
				visit(folder, s)
			}
		}
	}
	return nil
}

func containers(_ context.Context, at tree) ([][]string, error) {
	all, err := dockerContainers(at)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, c := range all {
		rows = append(rows, []string{"Docker", shortID(c.ID), c.name(), c.Config.Image, c.state(), c.Created})
	}
	names := map[string]string{} // of images
	note := func(_ string, s stored) { names[s.ID] = strings.Join(s.Names, ", ") }
	if err := eachStored(at, "/*-images/images.json", note); err != nil {
		return nil, err
	}
	runtime := storeRuntime(at)
	err = eachStored(at, "/*-containers/containers.json", func(_ string, s stored) {
		state := "Stopped"
		if pid := at.attribute("run/containers/storage/overlay-containers/" + s.ID + "/userdata/pidfile"); pid != "" && at.has("proc/"+pid) {
			state = "Running"
		}
		rows = append(rows, []string{runtime, shortID(s.ID), strings.Join(s.Names, ", "), names[s.Image], state, s.Created})
	})
	if err != nil {
		return nil, err
	}
	more, err := tasks(at)
	if err != nil {
		return nil, err
	}
	rows = append(rows, more...)
	for runtime, pattern := range map[string]string{
		"LXC": "/var/lib/lxc/*/config", "LXD": "/var/snap/lxd/common/lxd/containers/*", "Incus": "/var/lib/incus/containers/*", "systemd-nspawn": "/var/lib/machines/*",
	} {
		found, err := at.glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, file := range found {
			rows = append(rows, []string{runtime, "", path.Base(strings.TrimSuffix(file, "/config")), "", "", ""})
		}
	}
	return uniqueRows(rows), nil
}

// tasks are the running containers of containerd but those of Docker, which
// tells of them itself.
func tasks(at tree) ([][]string, error) {
	files, err := at.glob("/run/containerd/io.containerd.runtime.v2.task/*/*/config.json")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, file := range files {
		folder := path.Dir(file)
		if path.Base(path.Dir(folder)) == "moby" {
			continue
		}
		var spec struct{ Annotations map[string]string }
		b, err := smallFile(at.at(file), recordMax)
		if err != nil || json.Unmarshal(b, &spec) != nil {
			continue // ended meanwhile
		}
		name := spec.Annotations["io.kubernetes.cri.container-name"]
		if pod := spec.Annotations["io.kubernetes.cri.sandbox-name"]; pod != "" {
			name = strings.TrimSuffix(pod+"/"+name, "/")
		}
		rows = append(rows, []string{"containerd", shortID(path.Base(folder)), name, spec.Annotations["io.kubernetes.cri.image-name"], "Running", ""})
	}
	return rows, nil
}

func containerImages(_ context.Context, at tree) ([][]string, error) {
	files, err := at.glob(dockerFolder(at) + "/image/*/repositories.json")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, file := range files {
		b, err := smallFile(at.at(file), recordMax)
		if err != nil {
			return nil, err
		}
		rows = append(rows, dockerImages(b)...)
	}
	runtime := storeRuntime(at)
	err = eachStored(at, "/*-images/images.json", func(_ string, s stored) {
		for _, name := range s.Names {
			rows = append(rows, []string{runtime, name, shortID(s.ID)})
		}
	})
	return uniqueRows(rows), err
}

// dockerRows makes rows of each container of Docker.
func dockerRows(at tree, rows func(dockerContainer) [][]string) ([][]string, error) {
	all, err := dockerContainers(at)
	var out [][]string
	for _, c := range all {
		out = append(out, rows(c)...)
	}
	return uniqueRows(out), err
}

func containerMounts(_ context.Context, at tree) ([][]string, error) {
	return dockerRows(at, func(c dockerContainer) [][]string {
		var rows [][]string
		for _, m := range c.MountPoints {
			source := m.Source
			if source == "" {
				source = m.Name // a volume
			}
			rows = append(rows, []string{c.name(), source, m.Destination, yesNo(m.RW)})
		}
		return rows
	})
}

func containerPorts(_ context.Context, at tree) ([][]string, error) {
	return dockerRows(at, func(c dockerContainer) [][]string {
		var rows [][]string
		for inside, outside := range c.host.PortBindings {
			for _, o := range outside {
				rows = append(rows, []string{c.name(), inside, o.HostIP, o.HostPort})
			}
		}
		return rows
	})
}

func privilegedContainers(_ context.Context, at tree) ([][]string, error) {
	return dockerRows(at, func(c dockerContainer) [][]string {
		var rows [][]string
		for _, privilege := range c.privileges() {
			rows = append(rows, []string{c.name(), privilege})
		}
		return rows
	})
}

func containerVolumes(_ context.Context, at tree) ([][]string, error) {
	var rows [][]string
	for runtime, folder := range map[string]string{"Docker": dockerFolder(at) + "/volumes", storeRuntime(at): "/var/lib/containers/storage/volumes"} {
		found, err := at.glob(folder + "/*/_data")
		if err != nil {
			return nil, err
		}
		for _, data := range found {
			rows = append(rows, []string{runtime, path.Base(path.Dir(data))})
		}
	}
	return uniqueRows(rows), nil
}

func containerNetworks(_ context.Context, at tree) ([][]string, error) {
	var rows [][]string
	for _, pattern := range []string{"/etc/cni/net.d/*.conf*", "/etc/containers/networks/*.json"} {
		files, err := at.glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			var network struct {
				Name, Driver, Type string
				Plugins            []struct{ Type string }
			}
			b, err := smallFile(at.at(file), recordMax)
			if err != nil || json.Unmarshal(b, &network) != nil || network.Name == "" {
				continue // no network
			}
			kind := network.Driver + network.Type
			if kind == "" && len(network.Plugins) > 0 {
				kind = network.Plugins[0].Type
			}
			rows = append(rows, []string{network.Name, kind, file})
		}
	}
	return uniqueRows(rows), nil
}

func containerSettings(_ context.Context, at tree) ([][]string, error) {
	b, err := at.read("etc/docker/daemon.json")
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var settings map[string]any
	if err := json.Unmarshal(b, &settings); err != nil {
		return nil, err
	}
	var rows [][]string
	for key, v := range settings {
		if key == "proxies" { // addresses with passwords
			continue
		}
		text, err := jsonText(v)
		if err != nil {
			return nil, err
		}
		rows = append(rows, []string{key, text})
	}
	return uniqueRows(rows), nil
}

// containerProcesses names containers of Docker as people do, others by their
// short IDs.
func (p *Probe) containerProcesses(ctx context.Context) ([][]string, error) {
	known, err := dockerContainers(p.root)
	if err != nil && !passedOver(err) {
		return nil, err
	}
	names := map[string]string{}
	for _, c := range known {
		names[shortID(c.ID)] = c.name()
	}
	return p.perProgram(ctx, nil, func(proc process) ([][]string, error) {
		b, err := readHead(p.procFile(proc.pid, "cgroup"), statusMax)
		container := containerOf(string(b))
		if container == "" {
			return nil, err
		}
		if names[container] != "" {
			container = names[container]
		}
		return [][]string{{proc.name, strconv.Itoa(proc.pid), container}}, err
	})
}

// pods reads the folders of logs: namespace_pod_uid, in each one for each
// container.
func pods(_ context.Context, at tree) ([][]string, error) {
	folders, err := at.glob("/var/log/pods/*/*")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, folder := range folders {
		f := strings.Split(path.Base(path.Dir(folder)), "_")
		if len(f) == 3 {
			rows = append(rows, []string{f[0], f[1], path.Base(folder)})
		}
	}
	return uniqueRows(rows), nil
}

func virtualMachines(_ context.Context, at tree) ([][]string, error) {
	var rows [][]string
	for _, pattern := range []string{"/etc/libvirt/qemu/*.xml", "/etc/libvirt/libxl/*.xml", "/etc/libvirt/lxc/*.xml"} {
		files, err := at.glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			b, err := smallFile(at.at(file), recordMax)
			if err != nil {
				if os.IsNotExist(err) {
					continue
				}
				return nil, err
			}
			if row, ok := parseDomain(b); ok {
				rows = append(rows, row)
			}
		}
	}
	return uniqueRows(rows), nil
}
