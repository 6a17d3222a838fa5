/usr/bin/dscl . -list /Users UniqueID | while read -r user uid; do
	/usr/bin/dscl . -read "/Users/$user" PrimaryGroupID RealName NFSHomeDirectory UserShell 2>/dev/null | awk -v user="$user" -v uid="$uid" '
		/^[A-Za-z]+:/ { key = $1; sub(/^[A-Za-z]+: ?/, "") }
		{ sub(/^ /, ""); value[key] = value[key] $0 }
		END { printf "%s\t%s\t%s\t%s\t%s\t%s\n", user, uid, value["PrimaryGroupID:"], value["RealName:"], value["NFSHomeDirectory:"], value["UserShell:"] }'
done
