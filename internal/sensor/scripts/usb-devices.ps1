Get-CimInstance Win32_PnPEntity -Filter "PNPDeviceID LIKE 'USB\\VID%'" | Where-Object { $_.Present -ne $false -and $_.Service -notlike 'USBHUB*' } | ForEach-Object {
    if ($_.PNPDeviceID -match 'VID_([0-9A-F]{4})&PID_([0-9A-F]{4})(&MI_\d+)?\\(.*)$' -and -not $Matches[3]) {
        $serial = if ($Matches[4] -like '*&*') { '' } else { $Matches[4] } # Windows makes one with & where the device has none
        Say $Matches[1].ToLower() $Matches[2].ToLower() $_.Manufacturer $_.Name $serial
    }
}
