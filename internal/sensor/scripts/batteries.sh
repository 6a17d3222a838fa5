/usr/sbin/ioreg -rn AppleSmartBattery | awk -F' = ' '
	{ gsub(/[" ]/, "", $1) }
	$1 == "CurrentCapacity" { now = $2 }
	$1 == "MaxCapacity" { full = $2 }
	$1 == "AppleRawMaxCapacity" { raw = $2 }
	$1 == "DesignCapacity" { made = $2 }
	$1 == "CycleCount" { cycles = $2 }
	$1 == "IsCharging" { charging = $2 }
	$1 == "FullyCharged" { whole = $2 }
	END {
		if (made == "") exit
		if (raw == "") raw = full
		state = whole == "Yes" ? "Full" : charging == "Yes" ? "Charging" : "Discharging"
		printf "Battery\t%s\t%d\t%d\t%s\n", state, full ? 100 * now / full + 0.5 : 0, 100 * raw / made + 0.5, cycles
	}'
