# sockets.pl VERB HOST PORT SECONDS FAMILY: one socket, and exactly what the kernel says about it.
#
#   connect     a TCP connect, closed at once
#   half-close  connect, send standard input, shut down the sending side, read to the end: standard output
#   udp         send standard input as one datagram and wait for one: standard output
#   udp-send    send standard input as one datagram
#
# What happened is told on standard error, a line each: "local ADDRESS PORT", "remote ADDRESS PORT",
# "errno NUMBER", "gave-up", "unresolved WHY", "done", "took SECONDS" (from just before connect(), or 0),
# "sent OCTETS" (by half-close: what the kernel took).
#
# The script itself may come by standard input, up to __END__: what follows is what it sends.
#
# No module is loaded for names of IPv4 and for plain addresses: under QEMU's TCG strict, warnings and Socket take
# three times as long as all the rest (a test runs it under strict and warnings). So the constants stand here as
# numbers, those of Linux.
# The port comes from getsockname() while the connect is under way: after a failed one the kernel has
# forgotten it.
my ($EINTR, $EAGAIN, $EINPROGRESS) = (4, 11, 115);
my ($F_GETFL, $F_SETFL, $O_NONBLOCK) = (3, 4, 04000);
my ($INET, $INET6, $STREAM, $DGRAM, $SOL_SOCKET, $SO_ERROR, $SHUT_WR) = (2, 10, 1, 2, 1, 4, 1);

my ($verb, $host, $port, $left, $family) = @ARGV;
binmode $_ for *STDIN, *STDOUT;
my $type = $verb =~ /^udp/ ? $DGRAM : $STREAM;

# Socket addresses of $host, in the order in which a program would try them.
sub resolve {
    if ($family == 4) {
        my @found = gethostbyname($host);
        finish('unresolved ' . ({ 1 => 'Name or service not known', 4 => 'No address of this family' }->{$?}
            || 'Temporary failure in name resolution')) if !@found;
        return map { pack('S n a4 x8', $INET, $port, $_) } @found[4 .. $#found];
    }
    my $address = ipv6($host);
    return pack('S n N a16 N', $INET6, $port, 0, $address, 0) if $address;
    require Socket;
    my $wanted = $family == 6 ? $INET6 : 0;
    my ($why, @found) = Socket::getaddrinfo($host, $port, { socktype => $type, family => $wanted });
    finish("unresolved $why") if $why;
    return map { $_->{addr} } @found;
}

# The octets of an IPv6 address as RFC 4291 section 2.2 writes it in its forms 1 and 2; '' for all else.
sub ipv6 {
    my ($text) = @_;
    return '' if $text !~ /^(?:[0-9a-f]{0,4}:)+[0-9a-f]{0,4}$/i || $text =~ /:::|::.*::/;
    my ($head, $tail) = split(/::/, $text, 2);
    my @head = split(/:/, $head);
    my @tail = defined $tail ? split(/:/, $tail) : ();
    my @groups = (@head, defined $tail ? (0) x (8 - @head - @tail) : (), @tail);
    return @groups == 8 ? pack('n8', map { hex } @groups) : '';
}

sub tell_name {
    my ($word, $name) = @_;
    my ($kind, $number) = unpack('S n', $name);
    my $address = $kind == $INET6
        ? join(':', map { sprintf '%x', $_ } unpack('x8 n8', $name))
        : join('.', unpack('x4 C4', $name));
    print STDERR "$word $address $number\n";
}

# Seconds of the monotonic clock. Perl has none without a module, and its system call has a number of its own on
# x86-64 (e_machine 62 in every program's ELF header).
sub now {
    open(my $self, '<', '/proc/self/exe') or return 0;
    read($self, my $header, 20);
    my $clock_gettime = unpack('x18 S', $header) == 62 ? 228 : 113;
    my $time = pack('qq', 0, 0);
    return 0 if syscall($clock_gettime, 1, $time) != 0;
    my ($seconds, $nanoseconds) = unpack('qq', $time);
    return $seconds + $nanoseconds / 1e9;
}

my ($began, $sent);

sub finish {
    print STDERR "sent $sent\n" if defined $sent;
    printf STDERR "%s\ntook %.6f\n", join('', @_), defined $began ? now() - $began : 0;
    exit 0;
}

# Wait until the socket can be read (or written), then do $afterwards; what is left of the time is counted down.
sub ready {
    my ($socket, $read, $write, $afterwards) = @_;
    my ($in, $out) = ('', '');
    vec($in, fileno($socket), 1) = $read;
    vec($out, fileno($socket), 1) = $write;
    my ($count, $rest) = select($in, $out, undef, $left);
    $left = $rest if $count >= 0;
    $afterwards->() if $afterwards;
    finish('gave-up') if $count == 0;
    return (vec($in, fileno($socket), 1), vec($out, fileno($socket), 1));
}

# A socket that is connected; ends with the errno of the last address that was tried.
sub open_socket {
    my $errno = 0;
    my @remotes = resolve();
    $began = now();
    for my $remote (@remotes) {
        socket(my $socket, unpack('S', $remote), $type, 0) or do { $errno = $! + 0; next };
        fcntl($socket, $F_SETFL, fcntl($socket, $F_GETFL, 0) | $O_NONBLOCK) or die "fcntl: $!";
        tell_name('remote', $remote);
        $errno = connect($socket, $remote) ? 0 : $! + 0;
        my $local = getsockname($socket);
        if ($errno == $EINPROGRESS) {
            ready($socket, 0, 1, sub { tell_name('local', $local) });
            $errno = unpack('i', getsockopt($socket, $SOL_SOCKET, $SO_ERROR));
        } else {
            tell_name('local', $local);
        }
        return $socket if $errno == 0;
    }
    finish("errno $errno");
}

sub check {
    my ($result) = @_;
    return $result if defined $result;
    return undef if $! == $EAGAIN || $! == $EINTR;
    finish('errno ' . ($! + 0));
}

my $socket = open_socket();
my $input = $verb eq 'connect' ? '' : do { local $/; <STDIN> };
$input = '' if !defined $input;

if ($verb =~ /^udp/) {
    check(send($socket, $input, 0));
    if ($verb eq 'udp') {
        ready($socket, 1, 0);
        defined recv($socket, my $reply, 65535, 0) or finish('errno ' . ($! + 0));
        print STDOUT $reply;
    }
} elsif ($verb eq 'half-close') {
    # The other side may end first: what is left to be sent is sent all the same.
    $SIG{PIPE} = 'IGNORE';
    my ($all, $ended) = (length $input, 0);
    $sent = 0;
    shutdown($socket, $SHUT_WR) if !$all;
    while (!$ended || $sent < $all) {
        my ($readable, $writable) = ready($socket, $ended ? 0 : 1, $sent < $all ? 1 : 0);
        if ($writable) {
            $sent += check(syswrite($socket, $input, 65536, $sent)) || 0;
            shutdown($socket, $SHUT_WR) if $sent == $all;
        }
        if ($readable) {
            my $count = check(sysread($socket, my $piece, 65536));
            $ended = defined $count && $count == 0;
            print STDOUT $piece if $count;
        }
    }
}
finish('done');
