$states = @{ 1 = 'Discharging'; 2 = 'On AC'; 3 = 'Full'; 4 = 'Low'; 5 = 'Critical'; 6 = 'Charging'; 7 = 'Charging'; 8 = 'Charging'; 9 = 'Charging' }
$full = @(Get-CimInstance -Namespace root\wmi BatteryFullChargedCapacity -ErrorAction SilentlyContinue)
$made = @(Get-CimInstance -Namespace root\wmi BatteryStaticData -ErrorAction SilentlyContinue)
$turns = @(Get-CimInstance -Namespace root\wmi BatteryCycleCount -ErrorAction SilentlyContinue)
$i = 0
Get-CimInstance Win32_Battery | ForEach-Object {
    $health = if ($i -lt $full.Count -and $i -lt $made.Count -and $made[$i].DesignedCapacity) {
        [math]::Round(100 * $full[$i].FullChargedCapacity / $made[$i].DesignedCapacity)
    }
    $count = if ($i -lt $turns.Count) { $turns[$i].CycleCount }
    Say $_.DeviceID $states[[int]$_.BatteryStatus] $_.EstimatedChargeRemaining $health $count
    $i++
}
