case $(/usr/sbin/spctl --status 2>&1) in
*"assessments enabled"*) echo Enabled ;;
*"assessments disabled"*) echo Disabled ;;
esac
