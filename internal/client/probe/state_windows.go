package probe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

const (
	currentVersion = `SOFTWARE\Microsoft\Windows NT\CurrentVersion`
	tcpip          = servicesKey + `\Tcpip\Parameters`
	tasksMax       = 20_000  // files of tasks that are looked at
	taskMax        = 1 << 20 // bytes of one
)

func installDate() (string, error) {
	seconds, ok := regNumber(currentVersion, "InstallDate")
	if !ok || seconds == 0 {
		return "", unknown("date of the installation", "the registry does not tell it")
	}
	return date(time.Unix(int64(seconds), 0)), nil
}

func domainName() (string, error) {
	for _, name := range []string{"Domain", "NV Domain", "DhcpDomain"} {
		if domain := regText(tcpip, name); domain != "" {
			return domain, nil
		}
	}
	return "", unknown("domain", "the machine is in none")
}

func systemLocale() (string, error) {
	key, err := registry.OpenKey(registry.USERS, `.DEFAULT\Control Panel\International`, registry.QUERY_VALUE)
	if err != nil {
		return "", fmt.Errorf("the locale: %w", err)
	}
	defer key.Close()
	name, _, err := key.GetStringValue("LocaleName")
	return name, err
}

func bootMode() (string, error) {
	switch n, _ := regNumber(control, "PEFirmwareType"); n {
	case 1:
		return "BIOS", nil
	case 2:
		return "UEFI", nil
	}
	return "", unknown("boot mode", "the registry does not tell it")
}

// timeServers reads servers with blanks between, each with its flags after a
// comma.
func timeServers(context.Context) ([]string, error) {
	var servers []string
	for server := range strings.FieldsSeq(regText(servicesKey+`\W32Time\Parameters`, "NtpServer")) {
		name, _, _ := strings.Cut(server, ",")
		servers = append(servers, name)
	}
	return servers, nil
}

func rebootRequired() (string, error) {
	for _, path := range []string{
		`SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending`,
		`SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired`,
	} {
		if regHas(path) {
			return yesNo(true), nil
		}
	}
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, control+`\Session Manager`, registry.QUERY_VALUE)
	if err != nil {
		return "", fmt.Errorf("files that wait for a restart: %w", err)
	}
	defer key.Close()
	files, _, err := key.GetStringsValue("PendingFileRenameOperations")
	if errors.Is(err, registry.ErrNotExist) {
		return yesNo(false), nil
	}
	return yesNo(len(files) > 0), err
}

func crashDumps(ctx context.Context, at tree) ([][]string, error) {
	rows, err := crashesIn(ctx, at, []string{"/Windows/Minidump", "/Windows/LiveKernelReports"}, "*.dmp", "*/*.dmp")
	if err != nil {
		return nil, err
	}
	more, err := crashesIn(ctx, at, []string{"/Windows", "/ProgramData/Microsoft/Windows/WER/ReportArchive"}, "MEMORY.DMP", "*/Report.wer")
	return append(rows, more...), err
}

func environmentVariables(context.Context) ([][]string, error) {
	var rows [][]string
	err := regValues(registry.LOCAL_MACHINE, control+`\Session Manager\Environment`, 0, func(name, text string) {
		rows = append(rows, []string{name, text})
	})
	return uniqueRows(rows), err
}

func lastUser() (string, error) {
	return told("user who logged in last", regText(`SOFTWARE\Microsoft\Windows\CurrentVersion\Authentication\LogonUI`, "LastLoggedOnUser"))
}

// A userInfo is what the system tells of an account at its level 20.
type userInfo struct {
	name, fullName, comment *uint16
	flags, number           uint32
}

func localUsers(context.Context) ([][]string, error) {
	const level, ordinary, all = 20, 2, 0xffffffff
	var buffer *byte
	var read, total, resume uint32
	if err := windows.NetUserEnum(nil, level, ordinary, &buffer, all, &read, &total, &resume); err != nil {
		return nil, fmt.Errorf("the accounts: %w", err)
	}
	defer windows.NetApiBufferFree(buffer)
	var rows [][]string
	for _, u := range unsafe.Slice((*userInfo)(unsafe.Pointer(buffer)), read) {
		rows = append(rows, []string{
			windows.UTF16PtrToString(u.name), strconv.FormatUint(uint64(u.number), 10), "", windows.UTF16PtrToString(u.fullName), "", "",
		})
	}
	return uniqueRows(rows), nil
}

func userExists(_ context.Context, params []string) ([][]string, error) {
	_, _, kind, err := windows.LookupSID("", params[0])
	if errors.Is(err, windows.ERROR_NONE_MAPPED) {
		return [][]string{{yesNo(false)}}, nil
	}
	return [][]string{{yesNo(kind == windows.SidTypeUser)}}, err
}

func directories(context.Context) ([][]string, error) {
	var name *uint16
	var kind uint32
	if err := windows.NetGetJoinInformation(nil, &name, &kind); err != nil {
		return nil, fmt.Errorf("the domain: %w", err)
	}
	defer windows.NetApiBufferFree((*byte)(unsafe.Pointer(name)))
	if kind != windows.NetSetupDomainName {
		return nil, nil
	}
	return [][]string{{"Active Directory", windows.UTF16PtrToString(name), "Windows"}}, nil
}

// homes are the folders of people's profiles.
func homes(at tree) ([]home, error) {
	names, err := at.names("Users")
	var out []home
	for _, name := range names {
		folder := filepath.Join(`\Users`, name)
		if info, err := os.Lstat(at.at(folder)); err == nil && info.IsDir() && name != "Public" && name != "Default" {
			out = append(out, home{name, folder})
		}
	}
	return out, err
}

// userNames: processes tell their accounts by name on Windows.
func (p *Probe) userNames() userNames { return nil }

func automaticUpdates(context.Context) ([][]string, error) {
	const policy = `SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate`
	var rows [][]string
	for _, path := range []string{policy, policy + `\AU`} {
		err := regValues(registry.LOCAL_MACHINE, path, 0, func(name, text string) { rows = append(rows, []string{name, text}) })
		if err != nil {
			return nil, err
		}
	}
	return uniqueRows(rows), nil
}

// scheduledTasks reads the files in which the task scheduler keeps its tasks.
func scheduledTasks(ctx context.Context, at tree) ([][]string, error) {
	top := at.at("Windows/System32/Tasks")
	var rows [][]string
	_, err := walk(ctx, top, tasksMax, func(path string, e fs.DirEntry) error {
		if !e.Type().IsRegular() {
			return nil
		}
		b, err := smallFile(path, taskMax)
		if err != nil {
			return nil // another account's, or gone meanwhile
		}
		if j, ok := parseTask(b); ok {
			rows = append(rows, []string{strings.TrimPrefix(path, top), j.schedule, accountName(j.user), j.command, "Task Scheduler"})
		}
		return nil
	})
	return uniqueRows(rows), err
}

// accountName is the name of an account that is told by its number.
func accountName(s string) string {
	if !strings.HasPrefix(s, "S-1-") {
		return s
	}
	sid, err := windows.StringToSid(s)
	if err != nil {
		return s
	}
	name, domain, _, err := sid.LookupAccount("")
	if err != nil {
		return s
	}
	return domain + `\` + name
}

// startupPrograms reads the keys of the registry and the folders for that.
func startupPrograms(_ context.Context, at tree) ([][]string, error) {
	const current = `SOFTWARE\Microsoft\Windows\CurrentVersion\`
	var rows [][]string
	note := func(user, source string) func(name, text string) {
		return func(name, text string) { rows = append(rows, []string{name, text, user, source}) }
	}
	var errs []error
	for _, key := range []string{"Run", "RunOnce"} {
		for _, view := range []uint32{registry.WOW64_64KEY, registry.WOW64_32KEY} {
			errs = append(errs, regValues(registry.LOCAL_MACHINE, current+key, view, note("", `HKLM\`+current+key)))
		}
		errs = append(errs, people(func(sid string) {
			errs = append(errs, regValues(registry.USERS, sid+`\`+current+key, 0, note(accountName(sid), `HKU\`+current+key)))
		}))
	}
	const menu = "Microsoft/Windows/Start Menu/Programs/Startup/*"
	folders := map[string]string{"": "/ProgramData/" + menu}
	all, err := homes(at)
	for _, h := range all {
		folders[h.user] = filepath.ToSlash(h.folder) + "/AppData/Roaming/" + menu
	}
	errs = append(errs, err)
	for user, pattern := range folders {
		files, err := at.glob(pattern)
		errs = append(errs, err)
		for _, file := range files {
			if name := filepath.Base(file); !strings.EqualFold(name, "desktop.ini") {
				rows = append(rows, []string{name, file, user, "Startup"})
			}
		}
	}
	return uniqueRows(rows), errors.Join(errs...)
}

// fileVersion reads the version that a program's resources bear.
func fileVersion(_ context.Context, path string) ([][]string, error) {
	var zero windows.Handle
	size, err := windows.GetFileVersionInfoSize(path, &zero)
	if errors.Is(err, windows.ERROR_RESOURCE_TYPE_NOT_FOUND) || errors.Is(err, windows.ERROR_RESOURCE_DATA_NOT_FOUND) {
		return nil, nil // a file without one
	}
	if err != nil {
		return nil, pathError(&fs.PathError{Op: "version", Path: path, Err: err})
	}
	b := make([]byte, size)
	if err := windows.GetFileVersionInfo(path, 0, size, unsafe.Pointer(&b[0])); err != nil {
		return nil, pathError(&fs.PathError{Op: "version", Path: path, Err: err})
	}
	var fixed *windows.VS_FIXEDFILEINFO
	var length uint32
	if err := windows.VerQueryValue(unsafe.Pointer(&b[0]), `\`, unsafe.Pointer(&fixed), &length); err != nil {
		return nil, nil // a file without one
	}
	high, low := fixed.FileVersionMS, fixed.FileVersionLS
	return [][]string{{fmt.Sprintf("%d.%d.%d.%d", high>>16, high&0xffff, low>>16, low&0xffff)}}, nil
}
