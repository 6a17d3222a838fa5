Get-CimInstance Win32_PnPEntity -Filter "PNPDeviceID LIKE 'PCI\\%'" | ForEach-Object {
    Say $_.PNPDeviceID $_.PNPClass $_.Manufacturer $_.Name $_.Service
}
