package probe

// families are the sensors of this platform.
func (p *Probe) families() []map[string]fact {
	return append(p.everywhere(),
		p.kernelFacts(), p.stateFacts(), p.hardwareFacts(), p.storageFacts(), p.deviceFacts(), p.linuxNetworkFacts(),
		p.accountFacts(), p.packageFacts(), p.serviceFacts(), p.unixFileFacts(), p.processDetailFacts(), p.securityFacts(),
		p.containerFacts(),
	)
}

// machineTree is the tree of the machine on which we run.
const machineTree tree = "/"
