/bin/launchctl list | awk 'NR > 1 { printf "%s\t%s\t\tlaunchd\n", $3, $1 == "-" ? "Stopped" : "Running" }'
