package probe

import (
	"strings"
	"testing"
)

func TestContainersOfAMachine(t *testing.T) {
	id, other := strings.Repeat("a1", 32), strings.Repeat("b2", 32)
	docker := "data/docker/containers/"
	p := probeOn(t, files{
		"etc/docker/daemon.json": `{"data-root":"/data/docker","live-restore":true,"log-opts":{"max-size":"10m"},"proxies":{"http-proxy":"http://u:p@x"}}`, "run/docker.sock": "",
		docker + id + "/config.v2.json":    `{"ID":"` + id + `","Name":"/web","Created":"2026-11-20T10:00:00Z","Config":{"Image":"nginx:1.25"},"State":{"Running":true},"MountPoints":{"/data":{"Source":"/srv/web","Destination":"/data","RW":false},"/s":{"Source":"/var/run/docker.sock","Destination":"/s","RW":true},"/v":{"Name":"vol","Destination":"/v","RW":true}}}`,
		docker + id + "/hostconfig.json":   `{"Privileged":true,"NetworkMode":"host","CapAdd":["SYS_ADMIN"],"SecurityOpt":["seccomp=unconfined","no-new-privileges"],"PortBindings":{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"8080"},{"HostIp":"","HostPort":"81"}]},"Devices":[{"PathOnHost":"/dev/kvm"}]}`,
		docker + other + "/config.v2.json": `{"ID":"` + other + `","Name":"/job","Config":{"Image":"alpine"},"State":{"Running":true,"Paused":true},"MountPoints":{"/":{"Source":"/","Destination":"/host","RW":false}}}`, docker + "half/config.v2.json": "{",
		"data/docker/image/overlay2/repositories.json": `{"Repositories":{"nginx":{"nginx:1.25":"sha256:` + id + `","nginx@sha256:abc":"sha256:` + id + `"}}}`,
		"data/docker/volumes/vol/_data/":               "", "data/docker/volumes/metadata.db": "",
		"var/lib/containers/storage/overlay-containers/containers.json":            `[{"id":"` + other + `","names":["db"],"image":"` + id + `","created":"2026-01-01T00:00:00Z"}]`,
		"var/lib/containers/storage/overlay-images/images.json":                    `[{"id":"` + id + `","names":["docker.io/library/postgres:16","pg:latest"]}]`,
		"run/containers/storage/overlay-containers/" + other + "/userdata/pidfile": "77", "proc/77/stat": "", "var/lib/containers/storage/volumes/pgdata/_data/": "",
		"run/containerd/io.containerd.runtime.v2.task/k8s.io/" + id + "/config.json": `{"annotations":{"io.kubernetes.cri.container-name":"app","io.kubernetes.cri.sandbox-name":"shop-1","io.kubernetes.cri.image-name":"reg/app:2"}}`,
		"run/containerd/io.containerd.runtime.v2.task/moby/" + id + "/config.json":   `{}`, "var/lib/lxc/box1/config": "", "var/lib/machines/debian/": "",
		"etc/cni/net.d/10-flannel.conflist": `{"name":"cbr0","plugins":[{"type":"flannel"}]}`, "etc/containers/networks/pod.json": `{"name":"podnet","driver":"bridge"}`, "etc/cni/net.d/bad.conf": "x",
		"var/log/pods/kube-system_coredns-5d_0123/coredns/": "", "var/log/pods/odd/x/": "",
		"etc/libvirt/qemu/vm1.xml": `<!-- made --><domain type='kvm'><name>vm1</name><uuid>C0FFEE00-0000-4000-8000-000000000001</uuid><memory unit='KiB'>4194304</memory><vcpu placement='static'>4</vcpu></domain>`,
		"etc/libvirt/qemu/bad.xml": "<domain", "etc/passwd": "root:x:0:0::/root:/bin/sh\n",
	})
	saysAll(t, p, []saying{
		{"Container Runtimes", nil, []string{"Docker|/run/docker.sock|", "Podman||/var/lib/containers/storage", "LXC||/var/lib/lxc", "systemd-nspawn||/var/lib/machines"}},
		{"Containers", nil, []string{
			"Docker|a1a1a1a1a1a1|web|nginx:1.25|Running|2026-11-20T10:00:00Z", "Docker|b2b2b2b2b2b2|job|alpine|Paused|",
			"Podman|b2b2b2b2b2b2|db|docker.io/library/postgres:16, pg:latest|Running|2026-01-01T00:00:00Z", "containerd|a1a1a1a1a1a1|shop-1/app|reg/app:2|Running|",
			"LXC||box1|||", "systemd-nspawn||debian|||",
		}},
		{"Container Images", nil, []string{"Docker|nginx:1.25|a1a1a1a1a1a1", "Podman|docker.io/library/postgres:16|a1a1a1a1a1a1", "Podman|pg:latest|a1a1a1a1a1a1"}},
		{"Container Mounts", nil, []string{"web|/srv/web|/data|False", "web|/var/run/docker.sock|/s|True", "web|vol|/v|True", "job|/|/host|False"}},
		{"Container Ports", nil, []string{"web|80/tcp|127.0.0.1|8080", "web|80/tcp||81"}},
		{"Privileged Containers", nil, []string{"web|privileged", "web|the machine's network", "web|capability SYS_ADMIN", "web|seccomp=unconfined", "web|device /dev/kvm", "web|mount of /var/run/docker.sock"}},
		{"Container Volumes", nil, []string{"Docker|vol", "Podman|pgdata"}},
		{"Container Networks", nil, []string{"cbr0|flannel|/etc/cni/net.d/10-flannel.conflist", "podnet|bridge|/etc/containers/networks/pod.json"}},
		{"Container Settings", nil, []string{`data-root|/data/docker`, "live-restore|true", `log-opts|{"max-size":"10m"}`}},
		{"Kubernetes Pods", nil, []string{"kube-system|coredns-5d|coredns"}},
		{"Hosted Virtual Machines", nil, []string{"vm1|KVM|c0ffee00-0000-4000-8000-000000000001|4096MB|4"}},
	})
	for name, want := range map[string]string{"run/.containerenv": "Podman", ".dockerenv": "Docker", "run/secrets/kubernetes.io/x": "Kubernetes", "etc/nothing": "None"} {
		saysAll(t, probeOn(t, files{name: ""}), []saying{{"Container Type", nil, []string{want}}, {"Is Container", nil, []string{yesNo(want != "None")}}})
	}
}

func TestContainerOf(t *testing.T) {
	id := strings.Repeat("0f", 32)
	for line, want := range map[string]string{
		"0::/system.slice/docker-" + id + ".scope": "0f0f0f0f0f0f", "12:cpu:/docker/" + id: "0f0f0f0f0f0f", "0::/machine.slice/libpod-" + id + ".scope/container": "0f0f0f0f0f0f",
		"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + id + ".scope": "0f0f0f0f0f0f", "0::/lxc.payload.box": "box", "3:x:/lxc/box": "box", "0::/user.slice": "", "": "", "0::/" + id[1:]: "",
	} {
		if got := containerOf(line + "\n"); got != want {
			t.Errorf("%s is in %q", line, got)
		}
	}
}

func FuzzContainers(f *testing.F) {
	f.Add([]byte(`{"ID":"x","State":{"Running":true}}`), []byte(`{"Privileged":true}`))
	f.Add([]byte(`[{"id":"x"}]`), []byte(`<domain type="kvm"><name>x</name><memory>1</memory></domain>`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if c, ok := parseDocker(a, b); ok && (c.ID == "" || c.state() == "") {
			t.Fatalf("%q is %+v", a, c)
		}
		for _, row := range dockerImages(a) {
			if len(row) != 3 {
				t.Fatalf("%q has %q", a, row)
			}
		}
		parseStored(a)
		if row, ok := parseDomain(b); ok && (len(row) != 5 || row[0] == "") {
			t.Fatalf("%q is %q", b, row)
		}
	})
}
