package probe

import (
	"strings"
	"testing"
)

func TestDevicesOfAMachine(t *testing.T) {
	p := probeOn(t, files{
		"usr/share/misc/pci.ids":                 "# list\n8086  Intel Corporation\n\t5917  UHD Graphics 620\n\t\t17aa 2258  board\n\t15d7  Ethernet I219-LM\n10de  NVIDIA\nC 02  Network controller\n\t00  Ethernet controller\nC 03  Display controller\n\t00  VGA compatible controller\n",
		"sys/bus/pci/devices/0000:00:02.0/class": "0x030000\n", "sys/bus/pci/devices/0000:00:02.0/vendor": "0x8086\n", "sys/bus/pci/devices/0000:00:02.0/device": "0x5917\n",
		"sys/bus/pci/devices/0000:00:02.0/driver": "-> ../../../bus/pci/drivers/i915",
		"sys/bus/pci/devices/0000:00:1f.6/class":  "0x020000\n", "sys/bus/pci/devices/0000:00:1f.6/vendor": "0x8086\n", "sys/bus/pci/devices/0000:00:1f.6/device": "0x15d7\n",
		"sys/bus/pci/devices/0000:01:00.0/class": "0x030200\n", "sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de\n", "sys/bus/pci/devices/0000:01:00.0/device": "0x1eb8\n",
		"sys/bus/usb/devices/usb1/idVendor": "1d6b\n", "sys/bus/usb/devices/usb1/bDeviceClass": "09\n", "sys/bus/usb/devices/1-1:1.0/bInterfaceClass": "03\n",
		"sys/bus/usb/devices/1-1/idVendor": "0781\n", "sys/bus/usb/devices/1-1/idProduct": "5581\n", "sys/bus/usb/devices/1-1/bDeviceClass": "00\n",
		"sys/bus/usb/devices/1-1/manufacturer": "SanDisk\n", "sys/bus/usb/devices/1-1/product": "Ultra\n", "sys/bus/usb/devices/1-1/serial": "4C53\n",
		"sys/class/power_supply/BAT0/type": "Battery\n", "sys/class/power_supply/BAT0/status": "Discharging\n", "sys/class/power_supply/BAT0/capacity": "83\n",
		"sys/class/power_supply/BAT0/energy_full": "42000000\n", "sys/class/power_supply/BAT0/energy_full_design": "50000000\n", "sys/class/power_supply/BAT0/cycle_count": "312\n",
		"sys/class/power_supply/BAT1/type": "Battery\n", "sys/class/power_supply/BAT1/present": "0\n",
		"sys/class/power_supply/BAT2/type": "Battery\n", "sys/class/power_supply/BAT2/charge_full": "900\n", "sys/class/power_supply/BAT2/charge_full_design": "0\n",
		"sys/class/power_supply/mouse/type": "Battery\n", "sys/class/power_supply/mouse/scope": "Device\n",
		"sys/class/power_supply/AC/type": "Mains\n", "sys/class/power_supply/AC/online": "0\n",
		"sys/class/hwmon/hwmon0/name": "coretemp\n", "sys/class/hwmon/hwmon0/temp1_input": "45500\n", "sys/class/hwmon/hwmon0/temp1_label": "Package id 0\n",
		"sys/class/hwmon/hwmon0/temp2_input": "-5000\n", "sys/class/hwmon/hwmon1/name": "thinkpad\n", "sys/class/hwmon/hwmon1/fan1_input": "2345\n", "sys/class/hwmon/hwmon1/temp1_input": "N/A\n",
		"sys/class/thermal/thermal_zone0/type": "acpitz\n", "sys/class/thermal/thermal_zone0/temp": "27800\n",
		"proc/asound/cards":         " 0 [PCH            ]: HDA-Intel - HDA Intel PCH\n                      HDA Intel PCH at 0xe1228000 irq 141\n--- no soundcards ---\n",
		"proc/bus/input/devices":    "I: Bus=0011 Vendor=0001 Product=0001 Version=ab54\nN: Name=\"AT Translated Set 2 keyboard\"\nP: Phys=isa0060/serio0/input0\n\nI: Bus=0003 Vendor=046d\nN: Name=\"Logitech \\\"M\\\"\"\nP: Phys=usb-1\n\nI: Bus=00ff\nN: Name=\"odd\"\n",
		"etc/cups/printers.conf":    "# x\n<DefaultPrinter Office>\nInfo Floor 2\nMakeModel HP LaserJet\nDeviceURI ipp://user:secret@print.example/ipp\nState Idle\n</DefaultPrinter>\n<Printer Lab>\nDeviceURI usb://Brother/HL\nState Stopped\n</Printer>\nState none\n",
		"sys/class/bluetooth/hci0/": "", "sys/class/bluetooth/hci0:12/": "",
	})
	saysAll(t, p, []saying{
		{"PCI Devices", nil, []string{
			"0000:00:02.0|VGA compatible controller|Intel Corporation|UHD Graphics 620|i915", "0000:00:1f.6|Ethernet controller|Intel Corporation|Ethernet I219-LM|",
			"0000:01:00.0|Display controller|NVIDIA|1eb8|",
		}},
		{"Graphics Adapters", nil, []string{"Intel Corporation|UHD Graphics 620|i915", "NVIDIA|1eb8|"}},
		{"USB Devices", nil, []string{"0781|5581|SanDisk|Ultra|4C53"}},
		{"Batteries", nil, []string{"BAT0|Discharging|83|84|312", "BAT2||||"}}, {"Power Source", nil, []string{"AC|False"}},
		{"Temperatures", nil, []string{"coretemp Package id 0|45.5", "coretemp temp2|-5", "zone acpitz|27.8"}}, {"Fans", nil, []string{"thinkpad fan1|2345"}},
		{"Audio Devices", nil, []string{"PCH|HDA-Intel|HDA Intel PCH"}},
		{"Input Devices", nil, []string{"AT Translated Set 2 keyboard|PS/2|isa0060/serio0/input0", `Logitech "M"|USB|usb-1`, "odd|00ff|"}},
		{"Printers", nil, []string{"Office|ipp://print.example/ipp|HP LaserJet|Idle", "Lab|usb://Brother/HL||Stopped"}},
		{"Bluetooth Adapters", nil, []string{"hci0"}},
	})
}

func TestStorageOfAMachine(t *testing.T) {
	p := probeOn(t, files{
		"sys/block/sda": "-> ../devices/pci0000:00/ata1/host0/target0/block/sda", "sys/devices/pci0000:00/ata1/host0/target0/block/sda/size": "976773168\n",
		"sys/devices/pci0000:00/ata1/host0/target0/block/sda/queue/rotational": "1\n", "sys/devices/pci0000:00/ata1/host0/target0/block/sda/device/model": "WDC WD5000  \n",
		"sys/devices/pci0000:00/ata1/host0/target0/block/sda/device/vpd_pg80": "\x00\x80\x00\x0cWD-WCC123456", "sys/devices/pci0000:00/ata1/host0/target0/block/sda/removable": "0\n",
		"sys/devices/pci0000:00/ata1/host0/target0/block/sda/sda1/partition": "1\n", "sys/devices/pci0000:00/ata1/host0/target0/block/sda/sda1/size": "2048000\n",
		"sys/devices/pci0000:00/ata1/host0/target0/block/sda/sda1/dev": "8:1\n", "sys/devices/pci0000:00/ata1/host0/target0/block/sda/queue/nr": "1\n",
		"sys/block/sdb": "-> ../devices/pci0000:00/usb1/1-1/host2/block/sdb", "sys/devices/pci0000:00/usb1/1-1/host2/block/sdb/size": "60062500\n",
		"sys/devices/pci0000:00/usb1/1-1/host2/block/sdb/removable": "1\n",
		"sys/block/nvme0n1": "-> ../devices/pci/nvme/nvme0/nvme0n1", "sys/devices/pci/nvme/nvme0/nvme0n1/size": "2097152\n", "sys/devices/pci/nvme/nvme0/nvme0n1/device/model": "Samsung 990\n",
		"sys/devices/pci/nvme/nvme0/nvme0n1/device/serial": "S6Z \n", "sys/devices/pci/nvme/nvme0/nvme0n1/queue/rotational": "0\n",
		"sys/block/vda": "-> ../devices/pci/virtio3/block/vda", "sys/devices/pci/virtio3/block/vda/size": "8\n", "sys/devices/pci/virtio3/block/vda/queue/rotational": "1\n",
		"sys/block/sr0/size": "0\n", "sys/block/loop0/size": "100\n", "sys/block/zram0/size": "100\n", "sys/block/sdz/size": "0\n",
		"sys/block/dm-0/dm/name": "vg-root\n", "sys/block/dm-0/dm/uuid": "LVM-abc\n", "sys/block/dm-0/size": "2097152\n", "sys/block/dm-0/dev": "253:0\n", "sys/block/dm-0/slaves/dm-1/": "",
		"sys/block/dm-1/dm/name": "cryptroot\n", "sys/block/dm-1/dm/uuid": "CRYPT-LUKS2-0123-cryptroot\n", "sys/block/dm-1/size": "4194304\n", "sys/block/dm-1/dev": "253:1\n", "sys/block/dm-1/slaves/sda1/": "",
		"proc/self/mountinfo": "22 1 253:0 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw,errors=remount-ro\n23 22 8:1 / /boot rw - vfat /dev/sda1 rw\n" +
			"24 22 0:50 / /mnt/far rw,nosuid - nfs4 server:/export rw,vers=4.2\n25 22 0:51 / /mnt/win rw - cifs //user:pw@host/share rw\n26 22 0:5 / /proc rw - proc proc rw\n27 22 0:60 / /tmp rw - tmpfs tmpfs rw,size=1g\n",
		"proc/swaps":     "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/dm-2                               partition\t8388604\t\t1048576\t\t-2\n/swap\\040file                            file\t\t1024\t\t0\t\t5\n",
		"proc/diskstats": "   8       0 sda 100 0 409600 1 50 0 204800 1 0 1 1\n   7       0 loop0 1 0 8 1 0 0 0 0 0 0 0\n   8       1 sda1 1 0 8 1 0 0 0 0 0 0 0\n   8 x\n",
		"proc/mdstat":    "Personalities : [raid1] [raid6]\nmd0 : active raid1 sdb1[1] sda1[0]\n      1048512 blocks super 1.2 [2/2] [UU]\n\nmd127 : active (auto-read-only) raid5 sde1[3](F) sdd1[1] sdc1[0]\n      2095104 blocks level 5 [3/2] [UU_]\n      bitmap: 1/1 pages [4KB]\n\nmd5 : inactive sdf1[0](S)\n      100 blocks\nunused devices: <none>\n",
		"etc/crypttab":   "# x\ncryptroot UUID=1 none luks\nbackup /dev/sdx none luks,noauto\nswap /dev/sdy /dev/urandom swap,cipher=aes\nold /dev/sdw none tcrypt\nshort /dev/sdv\n",
		"etc/fstab":      "# <file system>\nUUID=1 / ext4 errors=remount-ro 0 1\n/dev/sda1\t/boot\\040x vfat\nserver:/x /far nfs noauto,user\n\n",
	})
	saysAll(t, p, []saying{
		{"Physical Disks", nil, []string{
			"sda|WDC WD5000|WD-WCC123456|476940MB|HDD|SATA|False", "sdb|||29327MB|SSD|USB|True", "nvme0n1|Samsung 990|S6Z|1024MB|SSD|NVMe|False",
			"vda|||0MB|Virtual|VirtIO|False", "sr0|||0MB|Optical||False",
		}},
		{"Disk Partitions", nil, []string{"sda1|sda|1000MB|/boot"}}, {"Disk Activity", nil, []string{"sda|200MB|100MB"}},
		{"Logical Volumes", nil, []string{"vg-root|LVM|1024MB|dm-1|/", "cryptroot|CRYPT|2048MB|sda1|"}},
		{"Encrypted Volumes", nil, []string{"cryptroot|LUKS2|Open|sda1", "backup|LUKS|Configured|/dev/sdx", "swap|PLAIN|Configured|/dev/sdy", "old|TCRYPT|Configured|/dev/sdw", "short|LUKS|Configured|/dev/sdv"}},
		{"Swap Devices", nil, []string{"/dev/dm-2|partition|8191MB|1024MB|-2", "/swap file|file|1MB|0MB|5"}},
		{"RAID Arrays", nil, []string{"md0|raid1|active|2|2|sdb1[1], sda1[0]", "md127|raid5|degraded|3|2|sde1[3](F), sdd1[1], sdc1[0]", "md5||inactive|||sdf1[0](S)"}},
		{"Mounted File Systems", nil, []string{
			"/|/dev/mapper/vg-root|ext4|rw,relatime,errors=remount-ro", "/boot|/dev/sda1|vfat|rw", "/mnt/far|server:/export|nfs4|rw,nosuid,vers=4.2",
			"/mnt/win|//host/share|cifs|rw", "/tmp|tmpfs|tmpfs|rw,size=1g",
		}},
		{"Network Mounts", nil, []string{"/mnt/far|server:/export|nfs4", "/mnt/win|//host/share|cifs"}},
		{"Configured Mounts", nil, []string{"/|UUID=1|ext4|errors=remount-ro", "/boot x|/dev/sda1|vfat|defaults", "/far|server:/x|nfs|noauto,user"}},
	})
}

func TestConfiguredMountsAreWhatFindmntSays(t *testing.T) {
	p := probeOn(t, files{"etc/fstab": "UUID=1 / ext4 errors=remount-ro 0 1\n/dev/sda1 /my\\040disk vfat rw 0 0\n"})
	compareAll(t, p, []comparison{
		{"Configured Mounts", nil, nil, shell(`findmnt --fstab --tab-file ` + p.root.at("etc/fstab") + ` -rno TARGET,SOURCE,FSTYPE,OPTIONS | sed 's/ /|/g; s/\\x20/ /g'`)},
	})
}

func TestWithoutUser(t *testing.T) {
	for address, want := range map[string]string{
		"http://user:pw@proxy:3128/x@y": "http://proxy:3128/x@y", "https://host": "https://host", "proxy:3128": "proxy:3128", "": "",
		"http://a@b@host": "http://host", "smb://u@h?x=@": "smb://h?x=@", "user@host": "user@host", "//u:p@host/share": "//host/share", "/a//b@c": "/a//b@c",
	} {
		if got := withoutUser(address); got != want {
			t.Errorf("%q becomes %q, want %q", address, got, want)
		}
	}
}

func FuzzStorageLists(f *testing.F) {
	f.Add("md0 : active raid1 sdb1[1]\n  1 blocks [2/1]\n/dev/a partition 1 2 3\n8 0 sda 1 2 3 4 5 6 7 8\n<Printer a>\nState x\n")
	f.Add("I: Bus=0003\nN: Name=\"a\"\n\n 0 [x ]: y - z\nC 03  d\n\t00  e\n")
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Count(text, "\n") + 1
		for _, rows := range [][][]string{parseMdstat(text), parseSwaps(text), parseDiskStats(text), parsePrinters(text), parseInputs(text), parseCards(text)} {
			if len(rows) > lines {
				t.Fatalf("%q has %d rows", text, len(rows))
			}
		}
		if names := parsePCINames(text); len(names) > lines {
			t.Fatalf("%q has %d names", text, len(names))
		}
		if address := withoutUser(text); len(address) > len(text) {
			t.Fatalf("%q becomes %q", text, address)
		}
	})
}
