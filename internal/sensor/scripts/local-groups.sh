/usr/bin/dscl . -list /Groups PrimaryGroupID | while read -r group gid; do
	members=$(/usr/bin/dscl . -read "/Groups/$group" GroupMembership 2>/dev/null | sed -n 's/^GroupMembership: *//p' | sed 's/ /, /g')
	printf '%s\t%s\t%s\n' "$group" "$gid" "$members"
done
