Get-CimInstance Win32_VideoController | ForEach-Object { Say $_.AdapterCompatibility $_.Name $_.DriverVersion }
