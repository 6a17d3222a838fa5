package sensor

import "catenary/internal/value"

const categoryContainers = "Containers"

func containerSensors() []Sensor {
	const category = categoryContainers
	return []Sensor{
		on(single(category, "Is Container", value.String, ageFixed,
			"True if the client itself runs in a container, else False."), Linux),
		on(single(category, "Container Type", value.String, ageFixed,
			"In what kind of container the client itself runs: Docker, Podman, LXC, Kubernetes; None outside."), Linux),
		on(several(category, "Container Runtimes", ageRare,
			"Programs for containers of which this machine has the state or the socket.",
			text("Runtime"), text("Socket"), text("Folder")), Linux),
		on(several(category, "Containers", ageLive,
			"Containers of Docker, Podman, containerd, CRI-O and LXC, as their runtimes keep record of them.",
			text("Runtime"), text("ID"), text("Name"), text("Image"), text("State"), text("Created")), Linux),
		on(several(category, "Container Images", ageNetwork,
			"Images from which containers can be made.",
			text("Runtime"), text("Image"), text("ID")), Linux),
		on(several(category, "Container Mounts", ageNetwork,
			"What the containers of Docker see of the machine's files.",
			text("Container"), text("Source"), text("Destination"), text("Writable")), Linux),
		on(several(category, "Container Ports", ageNetwork,
			"Ports of the machine that lead into containers of Docker.",
			text("Container"), text("Port"), address("Host Address"), number("Host Port")), Linux),
		on(several(category, "Privileged Containers", ageNetwork,
			"Containers of Docker that may do more than others, and what.",
			text("Container"), text("Privilege")), Linux),
		on(several(category, "Container Volumes", ageNetwork,
			"Named volumes of Docker and Podman.",
			text("Runtime"), text("Volume")), Linux),
		on(several(category, "Container Networks", ageNetwork,
			"Networks for containers that are set up in files (CNI, Podman).",
			text("Network"), text("Kind"), text("File")), Linux),
		on(several(category, "Container Settings", ageRare,
			"What Docker is set up with.",
			text("Setting"), text("Value")), Linux),
		on(several(category, "Container Processes", ageLive,
			"Processes that run in containers.",
			text("Process"), number("PID"), text("Container")), Linux),
		on(several(category, "Kubernetes Pods", ageLive,
			"Pods that this node runs or ran of late, by their folders of logs.",
			text("Namespace"), text("Pod"), text("Container")), Linux),
		scripted(on(several(category, "Hosted Virtual Machines", ageNetwork,
			"Virtual machines that are set up on this machine.",
			text("Machine"), text("Hypervisor"), text("UUID"), size("Memory"), number("CPUs")), Linux), Windows),
	}
}
