# sockets.pl VERB HOST PORT SECONDS FAMILY: one socket, and exactly what the kernel says about it.
#
#   connect     a TCP connect, closed at once
#   half-close  connect, send standard input, shut down the sending side, read to the end: standard output
#   udp         send standard input as one datagram and wait for one: standard output
#   udp-send    send standard input as one datagram
#
# What happened is told on standard error, a line each: "local ADDRESS PORT", "remote ADDRESS PORT",
# "errno NUMBER", "gave-up", "unresolved WHY", "left SECONDS" (of the time that was given), "done".
# Only perl-base is needed. The port comes from getsockname() while the connect is under way: after a failed
# one the kernel has forgotten it.
use strict;
use warnings;
use Errno qw(EINPROGRESS EINTR EAGAIN);
use Fcntl qw(F_GETFL F_SETFL O_NONBLOCK);
use Socket qw(:DEFAULT :addrinfo SO_ERROR SHUT_WR);

my ($verb, $host, $port, $left, $family) = @ARGV;
binmode $_ for *STDIN, *STDOUT;
my $type = $verb =~ /^udp/ ? SOCK_DGRAM : SOCK_STREAM;

sub tell_name {
    my ($word, $name) = @_;
    my (undef, $address, $number) = getnameinfo($name, NI_NUMERICHOST | NI_NUMERICSERV);
    print STDERR "$word $address $number\n";
}

sub finish { print STDERR @_, "\nleft $left\n"; exit 0 }

# Wait until the socket can be read (or written); what is left of the time is counted down.
sub ready {
    my ($socket, $read, $write) = @_;
    my ($in, $out) = ('', '');
    vec($in, fileno($socket), 1) = $read;
    vec($out, fileno($socket), 1) = $write;
    my ($count, $rest) = select($in, $out, undef, $left);
    $left = $rest if $count >= 0;
    finish('gave-up') if $count == 0;
    return (vec($in, fileno($socket), 1), vec($out, fileno($socket), 1));
}

# A socket that is connected, or the errno of the last address that was tried.
sub open_socket {
    my $wanted = $family == 6 ? AF_INET6 : $family == 4 ? AF_INET : AF_UNSPEC;
    my ($why, @found) = getaddrinfo($host, $port, { socktype => $type, family => $wanted });
    finish("unresolved $why") if $why;
    my $errno = 0;
    for my $one (@found) {
        socket(my $socket, $one->{family}, $type, 0) or do { $errno = $! + 0; next };
        fcntl($socket, F_SETFL, fcntl($socket, F_GETFL, 0) | O_NONBLOCK) or die "fcntl: $!";
        tell_name('remote', $one->{addr});
        my $done = connect($socket, $one->{addr});
        $errno = $done ? 0 : $! + 0;
        tell_name('local', getsockname($socket));
        if ($errno == EINPROGRESS) {
            ready($socket, 0, 1);
            $errno = unpack('i', getsockopt($socket, SOL_SOCKET, SO_ERROR));
        }
        return $socket if $errno == 0;
    }
    finish("errno $errno");
}

sub check {
    my ($result) = @_;
    return $result if defined $result;
    return undef if $! == EAGAIN || $! == EINTR;
    finish('errno ' . ($! + 0));
}

my $socket = open_socket();
my $input = $verb eq 'connect' ? '' : do { local $/; <STDIN> // '' };

if ($verb =~ /^udp/) {
    check(send($socket, $input, 0));
    if ($verb eq 'udp') {
        ready($socket, 1, 0);
        defined recv($socket, my $reply, 65535, 0) or finish('errno ' . ($! + 0));
        print STDOUT $reply;
    }
} elsif ($verb eq 'half-close') {
    $SIG{PIPE} = 'IGNORE';
    my $at = 0;
    shutdown($socket, SHUT_WR) if $input eq '';
    while (1) {
        my ($readable, $writable) = ready($socket, 1, $at < length $input ? 1 : 0);
        if ($writable) {
            $at += check(syswrite($socket, $input, 65536, $at)) // 0;
            shutdown($socket, SHUT_WR) if $at == length $input;
        }
        if ($readable) {
            my $count = check(sysread($socket, my $piece, 65536));
            last if defined $count && $count == 0;
            print STDOUT $piece if $count;
        }
    }
}
finish('done');
