Get-NetRoute -PolicyStore ActiveStore | ForEach-Object {
    $gateway = if ($_.NextHop -eq '0.0.0.0' -or $_.NextHop -eq '::') { '' } else { $_.NextHop }
    Say $_.DestinationPrefix $gateway $_.InterfaceAlias ($_.RouteMetric + $_.InterfaceMetric)
}
