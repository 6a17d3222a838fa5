Get-CimInstance Win32_QuickFixEngineering | ForEach-Object { Say $_.HotFixID $_.Description (Moment $_.InstalledOn) }
