if (-not (Get-Service vmms -ErrorAction SilentlyContinue)) { exit 0 } # no Hyper-V here
$vms = Get-CimInstance -Namespace root\virtualization\v2 Msvm_ComputerSystem -Filter "Name LIKE '%-%-%-%-%'"
foreach ($vm in $vms) {
    $settings = Get-CimAssociatedInstance $vm -ResultClassName Msvm_VirtualSystemSettingData | Where-Object { $_.VirtualSystemType -eq 'Microsoft:Hyper-V:System:Realized' } | Select-Object -First 1
    $memory = Get-CimAssociatedInstance $settings -ResultClassName Msvm_MemorySettingData | Select-Object -First 1
    $processors = Get-CimAssociatedInstance $settings -ResultClassName Msvm_ProcessorSettingData | Select-Object -First 1
    Say $vm.ElementName 'Hyper-V' $vm.Name.ToLower() (Megabytes ($memory.VirtualQuantity * 1MB)) $processors.VirtualQuantity
}
