$kinds = @{ 3 = 'HDD'; 4 = 'SSD'; 5 = 'SSD' }
$buses = @{ 3 = 'SATA'; 6 = 'Fibre Channel'; 7 = 'USB'; 8 = 'RAID'; 9 = 'iSCSI'; 10 = 'SAS'; 11 = 'SATA'; 12 = 'SD'; 13 = 'MMC'; 14 = 'Virtual'; 15 = 'Virtual'; 17 = 'NVMe' }
Get-CimInstance -Namespace root\Microsoft\Windows\Storage MSFT_PhysicalDisk | ForEach-Object {
    $bus = $buses[[int]$_.BusType]
    $kind = if ($bus -eq 'Virtual') { 'Virtual' } else { $kinds[[int]$_.MediaType] }
    $removable = if ($bus -eq 'USB' -or $bus -eq 'SD') { 'True' } else { 'False' }
    Say $_.DeviceId $_.FriendlyName $_.SerialNumber (Megabytes $_.Size) $kind $bus $removable
}
