/usr/sbin/system_profiler SPUSBDataType 2>/dev/null | awk '
	function tell() { if (vendor != "") printf "%s\t%s\t%s\t%s\t%s\n", vendor, product, maker, name, serial; vendor = "" }
	/^ +[^ ].*:$/ { tell(); name = $0; gsub(/^ +|:$/, "", name); product = maker = serial = "" }
	/Product ID:/ { product = $3; sub(/^0x/, "", product) }
	/Vendor ID:/ { vendor = $3; sub(/^0x/, "", vendor) }
	/Manufacturer:/ { maker = $0; sub(/^ *Manufacturer: */, "", maker) }
	/Serial Number:/ { serial = $3 }
	END { tell() }'
