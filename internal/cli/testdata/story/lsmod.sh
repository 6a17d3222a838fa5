awk '{ print $1 "|" $2 }' /proc/modules | grep "^||prefix||"
