/usr/bin/dscl . -read /Groups/admin GroupMembership | sed -n 's/^GroupMembership: *//p' | tr ' ' '\n' | while read -r user; do
	printf '%s\tgroup admin\n' "$user"
done
