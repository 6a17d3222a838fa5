{
	/usr/sbin/arp -an | awk '$4 != "(incomplete)" && $4 !~ /^ff:/ { gsub(/[()]/, "", $2); printf "%s\t%s\t%s\t%s\n", $2, $4, $6, /permanent/ ? "Permanent" : "" }'
	/usr/sbin/ndp -an | awk 'NR > 1 && $2 != "(incomplete)" { sub(/%.*/, "", $1); printf "%s\t%s\t%s\t\n", $1, $2, $3 }'
}
