$states = @{ 0 = 'Off'; 1 = 'On'; 2 = 'Locked' }
Get-CimInstance -Namespace root\cimv2\Security\MicrosoftVolumeEncryption Win32_EncryptableVolume | ForEach-Object {
    Say $_.DriveLetter 'BitLocker' $states[[int]$_.ProtectionStatus] $_.DeviceID
}
