"""An independent reader of UDSMP: python3 udsmp_reader.py PORT REQUEST prints one entry a line."""
import socket
import sys

port, request = int(sys.argv[1]), sys.argv[2]
reader = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
reader.settimeout(5)
reader.sendto(request.encode(), ("127.0.0.1", port))
entries, more = [], True
while more:
    text = reader.recv(1024).decode().strip()
    if not (text.startswith("[") and text.endswith("]")):
        sys.exit(text)
    entries += [entry for entry in text[1:-1].split(", ") if entry]
    more = entries[-1:] == ["..."]
    if more:
        entries.pop()
print("\n".join(entries))
