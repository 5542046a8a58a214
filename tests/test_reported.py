"""The papers' numbers that recipes report, against what was printed in their sources."""

from __future__ import annotations

import pytest
from omegaconf import DictConfig

from utils.config import load_config
from utils.paths import CONFIGS

#: Recipe → its reported numbers: protocol, whether they were verified, a word of the source,
#: measures; then a row of printed numbers for each data set.
REPORTED = {
    "cpd_vgg": """
        cpd yes README maxF MAE
        ECSSD .936 .040
        PASCAL-S .866 .074
        HKU-IS .924 .033
        DUT-OMRON .794 .057
        DUTS-TE .864 .043
        minet yes MINet F wF E Sm
        ECSSD .914 .894 .943 .910
        PASCAL-S .832 .806 .884 .843
        HKU-IS .896 .881 .952 .904
        DUT-OMRON .745 .715 .868 .818
        DUTS-TE .813 .801 .908 .867""",
    "cpd_resnet": """
        cpd yes README maxF MAE
        ECSSD .939 .037
        PASCAL-S .864 .072
        HKU-IS .925 .034
        DUT-OMRON .797 .056
        DUTS-TE .865 .043
        minet yes MINet F wF E Sm
        ECSSD .917 .898 .949 .918
        PASCAL-S .831 .803 .887 .847
        HKU-IS .891 .876 .952 .906
        DUT-OMRON .747 .719 .873 .825
        DUTS-TE .805 .795 .904 .869
        adaptive yes F3Net F E MAE
        THUR15K .738 .829 .068""",
    "wssa": """
        adaptive yes author MAE
        ECSSD .061
        minet yes A2S-v2 F E
        ECSSD .870 .917
        DUT-OMRON .703 .845
        PASCAL-S .785 .855
        HKU-IS .860 .932
        DUTS-TE .742 .869
        minet yes UDASOD Sm wF MAE
        ECSSD .865 .835 -
        DUT-OMRON .785 .669 .068
        PASCAL-S .796 .736 .094
        HKU-IS .865 .831 .047
        DUTS-TE .803 .709 .062
        minet yes Hybrid maxF Sm MAE
        ECSSD .871 - -
        PASCAL-S .788 - -
        HKU-IS .864 - -
        THUR15K .736 .800 .077
        DUTS-TE .755 - -""",
    "scwssod": """
        adaptive yes abstract F E MAE
        ECSSD .8995 .9079 .0489
        adaptive yes A2S-v2 F E MAE
        DUT-OMRON .758 .862 .060
        HKU-IS .896 - .038
        DUTS-TE .823 .890 .049""",
    "basnet": """
        u2net yes BASNet maxF MAE
        SOD .851 .114
        ECSSD .942 .037
        DUT-OMRON .805 .056
        PASCAL-S .854 .076
        HKU-IS .928 .032
        DUTS-TE .860 .047
        minet yes MINet F wF E Sm
        DUTS-TE .791 .803 .884 .866
        DUT-OMRON .756 .751 .869 .836
        HKU-IS .898 .890 .947 .908
        ECSSD .879 .904 .921 .916
        PASCAL-S .781 .800 .853 .837
        adaptive yes LDF F E MAE
        THUR15K .733 .821 .073""",
    "scrn": """
        scrn yes SCRN maxF MAE
        ECSSD .950 .038
        HKU-IS .934 .034
        PASCAL-S .882 .064
        DUT-OMRON .812 .056
        DUTS-TE .888 .040
        THUR15K .814 .066
        minet yes MINet F wF E Sm
        DUTS-TE .809 .803 .901 .885
        DUT-OMRON .746 .720 .869 .837
        HKU-IS .897 .878 .954 .917
        ECSSD .918 .899 .942 .927
        PASCAL-S .839 .816 .888 .867""",
    "bgnet": """
        cod yes CSU Sm meanE wF MAE
        CAMO .812 .870 .749 .073
        COD10K .831 .901 .722 .033
        NC4K .851 .907 .788 .044""",
    "u2net": """
        u2net yes U²-Net maxF MAE wF Sm
        DUT-OMRON .823 .054 .757 .847
        DUTS-TE .873 .044 .804 .861
        HKU-IS .935 .031 .890 .916
        ECSSD .951 .033 .910 .928
        PASCAL-S .859 .074 .797 .844
        SOD .861 .108 .748 .786""",
    "u2netp": """
        u2net yes U²-Net maxF MAE wF Sm
        DUT-OMRON .813 .060 .731 .837
        DUTS-TE .852 .054 .763 .847
        HKU-IS .928 .037 .867 .908
        ECSSD .943 .041 .885 .918
        PASCAL-S .849 .086 .768 .831
        SOD .841 .124 .697 .759""",
    "ras_resnet": """
        ras yes README E Sm F MAE
        ECSSD .925 .921 .917 .036
        HKU-IS .952 .912 .904 .031
        DUTS-TE .900 .881 .826 .038
        DUT-OMRON .874 .837 .765 .053""",
    "ras_v2": """
        ras yes README E Sm F MAE
        ECSSD .928 .925 .923 .034
        HKU-IS .952 .915 .906 .030
        DUTS-TE .901 .884 .831 .037
        DUT-OMRON .872 .836 .763 .055""",
    "minet_vgg16": """
        minet yes MINet maxF F wF E Sm MAE
        DUTS-TE .877 .823 .813 .912 .875 .039
        DUT-OMRON .794 .741 .719 .864 .822 .057
        HKU-IS .932 .906 .892 .955 .914 .030
        ECSSD .943 .922 .905 .947 .919 .036
        PASCAL-S .882 .843 .820 .898 .855 .065""",
    "minet_res50": """
        minet yes MINet maxF F wF E Sm MAE
        DUTS-TE .884 .828 .825 .917 .884 .037
        DUT-OMRON .810 .756 .738 .873 .833 .055
        HKU-IS .935 .908 .899 .961 .920 .028
        ECSSD .947 .924 .911 .953 .925 .033
        PASCAL-S .882 .842 .821 .899 .857 .064""",
    "f3net": """
        adaptive yes README MAE F Sm E
        ECSSD .033 .925 .924 .927
        PASCAL-S .062 .840 .855 .859
        DUTS-TE .035 .840 .888 .902
        HKU-IS .028 .910 .917 .953
        DUT-OMRON .053 .766 .838 .870
        user yes F3Net#1 maxF maxE
        ECSSD .9432 .9483
        PASCAL-S .8672 .8933
        DUT-OMRON .8033 .8628
        HKU-IS .9352 .9529
        DUTS-TE .8879 .9189""",
    "icon_vgg": """
        icon yes ICON's Sm meanE wF MAE
        ECSSD .919 .946 .905 .036
        PASCAL-S .861 .902 .820 .064
        DUTS-TE .878 .915 .822 .043
        HKU-IS .915 .950 .895 .032
        DUT-OMRON .833 .865 .743 .065
        SOD .814 .848 .784 .089""",
    "gatenet_resnet": """
        salod yes SALOD maxF MAE
        PASCAL-S .869 .067
        ECSSD .945 .040
        HKU-IS .933 .033
        DUTS-TE .888 .040
        DUT-OMRON .818 .055""",
    "gcpanet": """
        adaptive yes table maxF Sm MAE
        ECSSD .949 .927 .035
        HKU-IS .938 .920 .031
        PASCAL-S .876 .861 .061
        DUT-OMRON .812 .839 .056
        DUTS-TE .888 .891 .038""",
    "ldf": """
        adaptive yes README MAE F E
        ECSSD .034 .930 .925
        PASCAL-S .060 .848 .865
        DUTS-TE .034 .855 .910
        HKU-IS .027 .914 .954
        DUT-OMRON .051 .773 .873
        THUR15K .064 .764 .842
        tracer yes poster Sm
        DUTS-TE .892
        DUT-OMRON .839
        HKU-IS .919
        ECSSD .925""",
    "egnet_vgg": """
        minet yes MINet maxF F wF E Sm MAE
        DUTS-TE .877 .800 .797 .895 .878 .044
        DUT-OMRON .809 .744 .728 .864 .836 .057
        HKU-IS .927 .893 .875 .950 .910 .035
        ECSSD .943 .913 .892 .941 .919 .041
        PASCAL-S .871 .821 .798 .873 .848 .078""",
    "egnet_resnet": """
        minet yes MINet maxF F wF E Sm MAE
        DUTS-TE .889 .815 .816 .907 .887 .039
        DUT-OMRON .815 .756 .738 .874 .841 .053
        HKU-IS .935 .901 .887 .956 .918 .031
        ECSSD .947 .920 .903 .947 .925 .037
        PASCAL-S .878 .831 .807 .879 .853 .075
        adaptive yes LDF F E MAE
        THUR15K .741 .829 .067""",
    "tracer_te0": """
        tracer no plot maxF
        DUTS-TE .896""",
    "tracer_te1": """
        tracer no plot maxF
        DUTS-TE .899
        tracer no TRACER#2 MAE
        DUTS-TE .033""",
    "tracer_te2": """
        tracer no plot maxF
        DUTS-TE .902
        tracer yes poster MAE Sm
        DUTS-TE .030 .891
        DUT-OMRON .047 .846
        HKU-IS .027 .918
        ECSSD .031 .924""",
    "tracer_te3": """
        tracer no plot maxF
        DUTS-TE .913""",
    "tracer_te4": """
        tracer no plot maxF
        DUTS-TE .921""",
    "tracer_te5": """
        tracer no plot maxF
        DUTS-TE .929""",
    "tracer_te6": """
        tracer no plot maxF
        DUTS-TE .929""",
    "tracer_te7": """
        tracer no plot maxF
        DUTS-TE .938
        tracer yes DualGazeNet MAE maxF
        DUT-OMRON .045 .849
        tracer no paperswithcode meanF Sm
        DUT-OMRON .798 .855""",
    "tracer_resnet50": """
        tracer yes poster MAE Sm
        DUTS-TE .035 .890
        DUT-OMRON .050 .845
        HKU-IS .028 .919
        ECSSD .033 .925""",
    "poolnet_resnet": """
        salod yes SALOD maxF
        PASCAL-S .863
        ECSSD .944
        HKU-IS .931
        DUTS-TE .880
        DUT-OMRON .808
        adaptive yes F3Net MAE F E
        ECSSD .039 .915 .924
        PASCAL-S .074 .822 .850
        DUTS-TE .040 .809 .889
        HKU-IS .032 .899 .949
        DUT-OMRON .056 .747 .863""",
    "dss_vgg": """
        minet yes CRF maxF F wF E Sm MAE
        DUTS-TE .825 .789 .755 .885 .824 .056
        DUT-OMRON .781 .740 .697 .844 .790 .063
        HKU-IS .916 .902 .867 .935 .878 .040
        ECSSD .899 .863 .822 .907 .873 .068
        PASCAL-S .843 .812 .762 .848 .795 .096""",
    "nldf_vgg": """
        minet yes MINet maxF F wF E Sm MAE
        DUTS-TE .812 .739 .710 .855 .816 .065
        DUT-OMRON .753 .684 .634 .817 .770 .080
        HKU-IS .902 .872 .839 .929 .878 .048
        ECSSD .905 .878 .839 .912 .875 .063
        PASCAL-S .833 .782 .742 .842 .804 .099""",
    "itsd_resnet": """
        salod yes SALOD maxF MAE
        PASCAL-S .872 .065
        ECSSD .946 .035
        HKU-IS .935 .030
        DUTS-TE .885 .040
        DUT-OMRON .821 .059""",
    "picanet_vgg": """
        minet yes MINet maxF F wF E Sm MAE
        DUTS-TE .851 .749 .747 .865 .861 .054
        DUT-OMRON .794 .710 .691 .842 .826 .068
        HKU-IS .922 .870 .848 .938 .905 .042
        ECSSD .931 .885 .865 .926 .914 .046
        PASCAL-S .871 .804 .781 .862 .851 .077""",
}


def numbers_of(table: str) -> list[tuple]:
    """Each number: data set, measure, value, digits, protocol, verified, a word of its source."""
    numbers = []
    for line in table.split("\n"):
        cells = line.split()
        if cells[1:2] in (["yes"], ["no"]):
            protocol, verified, word, *measures = cells
        elif cells:
            numbers += [(cells[0], measure, float(text), len(text) - 1, protocol,
                         verified == "yes", word)
                        for measure, text in zip(measures, cells[1:], strict=True) if text != "-"]
    return numbers


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("*.yaml")))
def test_reported_numbers_are_those_of_their_sources(name):
    rows: list[DictConfig] = list(load_config(CONFIGS / f"{name}.yaml").reported)
    assert all(row.source and "memory" not in row.source for row in rows)
    expected = numbers_of(REPORTED.get(name, ""))
    words = {number[:2]: number[-1] for number in expected}
    assert sorted((row.dataset, row.measure, row.value, row.digits, row.protocol, row.verified)
                  for row in rows) == sorted(number[:-1] for number in expected)
    assert [row for row in rows if words[row.dataset, row.measure] not in row.source] == []
