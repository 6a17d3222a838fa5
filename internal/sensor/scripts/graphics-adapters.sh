/usr/sbin/system_profiler SPDisplaysDataType 2>/dev/null | awk '
	function tell() { if (model != "") printf "%s\t%s\t\n", vendor, model; model = vendor = "" }
	/Chipset Model:/ { tell(); model = $0; sub(/^ *Chipset Model: */, "", model) }
	/Vendor:/ { vendor = $0; sub(/^ *Vendor: */, "", vendor); sub(/ \(.*/, "", vendor) }
	END { tell() }'
