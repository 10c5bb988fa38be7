#!/usr/bin/perl
# An SMSC on Net::SMPP (Debian's libnet-smpp-perl), run as a process of its own; the same JSON lines as smpp_npm_peer.js.
use strict;
use warnings;
use IO::Select;
use JSON::PP;
use Net::SMPP;

my $how = decode_json($ARGV[0]);
my $json = JSON::PP->new->canonical;
my %report = (binds => 0, submits => 0, acknowledged => 0, unbound => 0, messages => [], ids => [], service_types => []);
my $number = 7_000_000;
$| = 1;

my $listen = Net::SMPP->new_listen('127.0.0.1', port => 0, smpp_version => 0x34, system_id => 'perl') or die "$!";
print $json->encode({port => $listen->sockport}), "\n";
my $select = IO::Select->new($listen, \*STDIN);
my $rest = '';

sub receipt {
    my ($esme, $submit, $id) = @_;
    my $text = "id:$id sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 text:x";
    my %tlvs = ($how->{form} // '') eq 'text' ? () : (receipted_message_id => "$id\0", message_state => pack('C', 2));
    $esme->deliver_sm(async => 1, esm_class => 4, source_addr_ton => 1, source_addr_npi => 1,
        source_addr => $submit->{destination_addr}, destination_addr => $submit->{source_addr},
        short_message => ($how->{form} // '') eq 'tlv' ? '' : $text, %tlvs);
}

sub answer {
    my ($esme, $pdu) = @_;
    my $command = $pdu->{cmd};
    if ($command == Net::SMPP::CMD_bind_transceiver) {
        $report{binds}++;
        $esme->bind_transceiver_resp(seq => $pdu->{seq}, status => 0, system_id => 'perl');
        for my $source (@{$how->{stop_from} // []}) {
            $esme->deliver_sm(async => 1, source_addr_ton => 2, source_addr_npi => 1, source_addr => $source,
                destination_addr => '12345', short_message => 'STOP');
        }
    } elsif ($command == Net::SMPP::CMD_submit_sm) {
        my $id = ($how->{ids} // '') eq 'hex' ? sprintf('%X', ++$number) : ++$number;
        $report{submits}++;
        push @{$report{ids}}, "$id";
        push @{$report{service_types}}, $pdu->{service_type};
        push @{$report{messages}}, {source => $pdu->{source_addr}, destination => $pdu->{destination_addr},
            coding => $pdu->{data_coding}, octets => unpack('H*', $pdu->{short_message})};
        $esme->submit_sm_resp(seq => $pdu->{seq}, status => 0, message_id => "$id");
        receipt($esme, $pdu, ($how->{receipt_ids} // '') eq 'decimal' ? hex($id) : $id);
    } elsif ($command == Net::SMPP::CMD_deliver_sm_resp) {
        $report{acknowledged}++ unless $pdu->{status};
    } elsif ($command == Net::SMPP::CMD_enquire_link) {
        $esme->enquire_link_resp(seq => $pdu->{seq}, status => 0);
    } elsif ($command == Net::SMPP::CMD_unbind) {
        $report{unbound}++;
        $esme->unbind_resp(seq => $pdu->{seq}, status => 0);
    }
}

while (1) {
    for my $ready ($select->can_read) {
        if ($ready == $listen) {
            $select->add(scalar $listen->accept);
        } elsif (fileno($ready) == fileno(STDIN)) {
            sysread(STDIN, $rest, 65536, length $rest) or exit;
            while ($rest =~ s/^([^\n]*)\n//) {
                my $change = decode_json($1);
                $how->{$_} = $change->{$_} for keys %$change;
                print $json->encode(\%report), "\n";
            }
        } else {
            my $pdu = eval { $ready->read_pdu };
            if ($pdu) {
                answer($ready, $pdu);
            } else {
                $select->remove($ready);
                close $ready;
            }
        }
    }
}
