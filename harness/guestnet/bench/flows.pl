# flows.pl VERB HOST PORT COUNT WIDTH: the guest's side of `guestnet bench flows`.
#
#   serial    COUNT connects, each closed before the next begins
#   parallel  COUNT connects, WIDTH at once: opened together, closed when all are there
#   rtt       COUNT requests of 1 octet on one connection
#   first     COUNT connections, from connect() to the first octet of the answer
#   udp       COUNT datagrams of 64 octets and their echoes, WIDTH of them under way
#   idle      COUNT connections that stay open when the script is done; its child holds them
#
# It prints "SECONDS DONE LOST". The server echoes. No module is loaded, see harness/guestnet/scenario/sockets.pl: the guest is
# emulated, and what the script takes for itself is as much for each stack.
my ($O_NONBLOCK, $F_GETFL, $F_SETFL, $EINPROGRESS) = (04000, 3, 4, 115);
my ($INET, $STREAM, $DGRAM, $SOL_SOCKET, $SO_ERROR, $SO_RCVTIMEO) = (2, 1, 2, 1, 4, 20);
my ($IPPROTO_TCP, $TCP_NODELAY) = (6, 1);
my $PATIENCE = 10;

my ($verb, $host, $port, $count, $width) = @ARGV;
my $remote = pack('S n C4 x8', $INET, $port, split(/\./, $host));

# clock_gettime has a number of its own on x86-64 (e_machine 62 in every program's ELF header).
open(my $self, '<', '/proc/self/exe') or die "/proc/self/exe: $!";
read($self, my $header, 20);
my $clock_gettime = unpack('x18 S', $header) == 62 ? 228 : 113;

sub now {
    my $time = pack('qq', 0, 0);
    syscall($clock_gettime, 1, $time) == 0 or die "clock_gettime: $!";
    my ($seconds, $nanoseconds) = unpack('qq', $time);
    return $seconds + $nanoseconds / 1e9;
}

sub opened {
    my ($type) = @_;
    socket(my $socket, $INET, $type, 0) or die "socket: $!\n";
    connect($socket, $remote) or die "connect to $host port $port: $!\n";
    return $socket;
}

# $width connections, opened at once.
sub opened_together {
    my ($width) = @_;
    my @sockets;
    for (1 .. $width) {
        socket(my $socket, $INET, $STREAM, 0) or die "socket: $!\n";
        fcntl($socket, $F_SETFL, fcntl($socket, $F_GETFL, 0) | $O_NONBLOCK) or die "fcntl: $!\n";
        connect($socket, $remote) or $! == $EINPROGRESS or die "connect to $host port $port: $!\n";
        push @sockets, $socket;
    }
    for my $socket (@sockets) {
        my $out = '';
        vec($out, fileno($socket), 1) = 1;
        select(undef, $out, undef, $PATIENCE) == 1 or die "connect to $host port $port: no answer\n";
        local $! = unpack('i', getsockopt($socket, $SOL_SOCKET, $SO_ERROR));
        $! == 0 or die "connect to $host port $port: $!\n";
    }
    return @sockets;
}

sub ask {
    my ($socket) = @_;
    syswrite($socket, 'x') == 1 or die "write: $!\n";
    sysread($socket, my $answer, 1) == 1 or die "read: $!\n";
}

my ($began, $done, $lost, @kept) = (now(), 0, 0);
if ($verb eq 'serial') {
    close(opened($STREAM)) while $done++ < $count;
} elsif ($verb eq 'parallel') {
    opened_together($width) while ($done += $width) <= $count;
    $done -= $width;
} elsif ($verb eq 'first') {
    ask(opened($STREAM)) while $done++ < $count;
} elsif ($verb eq 'rtt') {
    my $socket = opened($STREAM);
    setsockopt($socket, $IPPROTO_TCP, $TCP_NODELAY, 1);
    ask($socket) for 1 .. 16;
    $began = now();
    ask($socket) while $done++ < $count;
} elsif ($verb eq 'udp') {
    my $socket = opened($DGRAM);
    setsockopt($socket, $SOL_SOCKET, $SO_RCVTIMEO, pack('qq', 1, 0)) or die "SO_RCVTIMEO: $!\n";
    my ($payload, $sent) = ('x' x 64, 0);
    while ($sent < $width) { syswrite($socket, $payload) or die "write: $!\n"; $sent++ }
    while ($done < $sent) {
        if (!defined sysread($socket, my $answer, 2048)) {
            $lost = $sent - $done;
            last;
        }
        $done++;
        if ($sent < $count) { syswrite($socket, $payload) or die "write: $!\n"; $sent++ }
    }
} elsif ($verb eq 'idle') {
    for (my $left = $count; $left > 0; $left -= $width) {
        push @kept, opened_together($left < $width ? $left : $width);
    }
    $done = @kept;
} else {
    die "flows.pl has no verb '$verb'\n";
}
my $took = now() - $began;
$done = $count if $done > $count;
printf "%.6f %d %d\n", $took, $done, $lost;
exit 0 if !@kept;
close STDOUT;
exit 0 if fork();
open(STDERR, '>', '/dev/null');
sleep 3600;
