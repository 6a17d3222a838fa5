case $(/usr/libexec/ApplicationFirewall/socketfilterfw --getglobalstate) in
*enabled*) printf 'Application Firewall\tOn\n' ;;
*disabled*) printf 'Application Firewall\tOff\n' ;;
esac
if /sbin/pfctl -s info 2>/dev/null | grep -q '^Status: Enabled'; then printf 'pf\tOn\n'; else printf 'pf\tOff\n'; fi
