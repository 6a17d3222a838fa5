case $(/usr/bin/csrutil status) in
*enabled*) echo Enabled ;;
*disabled*) echo Disabled ;;
esac
