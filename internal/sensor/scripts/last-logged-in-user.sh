/usr/bin/defaults read /Library/Preferences/com.apple.loginwindow lastUserName
