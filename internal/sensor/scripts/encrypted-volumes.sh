case $(/usr/bin/fdesetup status) in
*"FileVault is On"*) printf '/\tFileVault\tOn\t\n' ;;
*"FileVault is Off"*) printf '/\tFileVault\tOff\t\n' ;;
esac
