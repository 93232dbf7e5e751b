package hub

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Nobody gives an address at which every connection is refused until free is called. A
// port that was merely closed may be given to another one at any moment.
func Nobody() (url string, free func(), err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, err
	}
	free = func() { _ = unix.Close(fd) }
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		free()
		return "", nil, err
	}
	name, err := unix.Getsockname(fd)
	at, ok := name.(*unix.SockaddrInet4)
	if err != nil || !ok {
		free()
		return "", nil, fmt.Errorf("no address: %v, %w", name, err)
	}
	return fmt.Sprintf("http://127.0.0.1:%d", at.Port), free, nil
}
